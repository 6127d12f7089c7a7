// Keeps one page in the browser: the one that says that the registry does not answer.

const KEPT = "offline-1";

async function keep() {
  const cache = await caches.open(KEPT);
  // Without cookies: it is the same for everybody.
  await cache.put("/ui/offline", await fetch("/ui/offline", { credentials: "omit", cache: "reload" }));
}

self.addEventListener("install", (event) => event.waitUntil(keep()));

// The browser asks the registry while this starts, so that no page waits for it.
self.addEventListener("activate", (event) => event.waitUntil(registration.navigationPreload?.enable()));

self.addEventListener("fetch", (event) => {
  const { request } = event;
  if (request.mode !== "navigate" || request.method !== "GET") return;
  const answer = event.preloadResponse.then((loaded) => loaded ?? fetch(request));
  event.respondWith(answer.catch(async (error) => (await caches.match("/ui/offline")) ?? Promise.reject(error)));
});
