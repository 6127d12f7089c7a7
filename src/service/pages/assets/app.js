// Makes the pages faster to use. Everything works without it.

/** Copies the text of a button, and says so for a second. */
async function copy(button) {
  try {
    await navigator.clipboard.writeText(button.dataset.copy);
  } catch {
    // Without https there is no clipboard, but a selection can be copied.
    const field = document.createElement("textarea");
    field.value = button.dataset.copy;
    field.className = "sr";
    button.after(field);
    field.select();
    document.execCommand("copy");
    field.remove();
    button.focus();
  }
  button.classList.add("done");
  setTimeout(() => button.classList.remove("done"), 1000);
}

document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-copy]");
  if (button) copy(button);
});

document.addEventListener("submit", (event) => {
  const question = event.submitter?.dataset.confirm;
  if (question && !confirm(question)) event.preventDefault();
});

// Themes change at once; without this the server sets the cookie.
for (const form of document.querySelectorAll("form.theme")) {
  form.elements.back.value = location.pathname + location.search;
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const theme = event.submitter.value;
    document.cookie = `theme=${theme}; Path=/; Max-Age=31536000; SameSite=Lax`;
    if (theme === "auto") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = theme;
    for (const button of form.querySelectorAll("button")) {
      if (button === event.submitter) button.setAttribute("aria-current", "true");
      else button.removeAttribute("aria-current");
    }
  });
}

for (const field of document.querySelectorAll("[data-submit]")) {
  field.addEventListener("change", () => field.form.requestSubmit());
}

/** A number of seconds in words, as the server writes it. */
function inWords(seconds) {
  const [minutes, rest] = [Math.floor(seconds / 60), seconds % 60];
  const counted = (number, unit) => (number ? [`${number} ${unit}${number === 1 ? "" : "s"}`] : []);
  return [...counted(minutes, "minute"), ...counted(rest, "second")].join(" ") || "a moment";
}

// A time to wait runs down.
for (const wait of document.querySelectorAll("[data-wait]")) {
  const end = Date.now() + 1000 * wait.dataset.wait;
  const timer = setInterval(() => {
    const left = Math.max(Math.ceil((end - Date.now()) / 1000), 0);
    wait.textContent = inWords(left);
    if (!left) clearInterval(timer);
  }, 1000);
}

/** Bytes with a unit, as the server writes them. */
function inBytes(bytes) {
  const units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
  let [tenths, unit] = [bytes * 10, 0];
  while (tenths >= 10235 && unit < units.length - 1) {
    tenths = Math.floor((tenths + 512) / 1024);
    unit += 1;
  }
  return `${unit ? (tenths / 10).toFixed(1) : bytes} ${units[unit]}`;
}

// What is under way is read again: after each event that changes more than numbers, or where events do not come through
// every few seconds. Not while nobody can see it.
const live = document.querySelector("[data-reload]");
if (live) {
  const loaded = Date.now();
  const every = 1000 * live.dataset.reload;
  let polling = null;
  let isOld = false;
  const again = () => {
    if (document.hidden || document.querySelector("dialog[open]")) {
      isOld = true;
      return;
    }
    const here = new URL(location);
    // What was done is said once.
    here.searchParams.delete("done");
    location.replace(here);
  };
  const poll = () => {
    polling ??= setInterval(again, every);
  };
  document.addEventListener("visibilitychange", () => {
    if (isOld) again();
  });
  const show = (task) => {
    const bar = live.querySelector("progress");
    if (bar) bar.value = task.progress;
    const { migration } = task;
    const shape = migration ? [task.status, migration.images.completed + migration.images.skipped + migration.images.failed, ...migration.running.map((image) => image.source)] : [task.status, task.step];
    for (const image of migration?.running ?? []) {
      const row = [...document.querySelectorAll("[data-image]")].find((one) => one.dataset.image === image.source);
      if (!row) continue;
      const done = image.bytes_fetched + image.bytes_skipped;
      const bar = row.querySelector("progress");
      [bar.max, bar.value] = [image.bytes_total, done];
      row.querySelector("[data-bytes]").textContent = `${inBytes(done)} of ${inBytes(image.bytes_total)}${image.bytes_per_second ? `, ${inBytes(image.bytes_per_second)}/s` : ""}`;
    }
    const fetched = live.querySelector("[data-fetched]");
    if (fetched && migration) fetched.textContent = inBytes(migration.bytes_fetched) + (migration.bytes_per_second ? `, ${inBytes(migration.bytes_per_second)}/s` : "");
    return JSON.stringify(shape);
  };
  if (live.dataset.events) {
    const events = new EventSource(live.dataset.events);
    let first = null;
    let wait = null;
    events.addEventListener("message", ({ data }) => {
      clearInterval(polling);
      polling = null;
      const task = JSON.parse(data);
      const shape = show(task);
      first ??= shape;
      const isOver = !["pending", "running"].includes(task.status);
      if (isOver) events.close();
      if (isOver || shape !== first) wait ??= setTimeout(again, Math.max(loaded + every - Date.now(), 0));
    });
    // The browser connects again by itself, unless the answer was no stream. Meanwhile the page is read again.
    events.addEventListener("error", poll);
    addEventListener("pagehide", () => events.close());
  } else {
    poll();
  }
}

/** What has passed since a time, as the server writes it. */
function relative(seconds) {
  const passed = Math.abs(seconds);
  if (passed < 5) return "now";
  const units = [[60, 1, "s"], [3600, 60, "min"], [86400, 3600, "h"], [172800, 86400, "day"], [5184000, 86400, "days"], [63072000, 2592000, "months"], [Infinity, 31536000, "years"]];
  const [, length, unit] = units.find(([end]) => passed < end);
  const text = `${Math.floor(passed / length)} ${unit}`;
  return seconds < 0 ? `in ${text}` : `${text} ago`;
}

function tellTimes() {
  for (const time of document.querySelectorAll("time[title]")) {
    time.textContent = relative((Date.now() - Date.parse(time.dateTime)) / 1000);
  }
}
setInterval(tellTimes, 30000);

// Selecting many: the box of the head, and a range by Shift.
for (const table of document.querySelectorAll("table:has([data-all])")) {
  const all = table.querySelector("[data-all]");
  const boxes = [...table.querySelectorAll("tbody [type=checkbox]:not(:disabled)")];
  const label = table.closest("form").querySelector("[data-selected]");
  let last = null;
  const tell = () => {
    const number = boxes.filter((box) => box.checked).length;
    const { one = "tag", many = "tags" } = label.dataset;
    label.textContent = `${number} ${number === 1 ? one : many} selected`;
    all.checked = number > 0 && number === boxes.length;
    all.indeterminate = number > 0 && number < boxes.length;
  };
  all.addEventListener("change", () => {
    for (const box of boxes) box.checked = all.checked;
    tell();
  });
  for (const box of boxes) {
    box.addEventListener("click", (event) => {
      if (event.shiftKey && last) {
        const [from, to] = [boxes.indexOf(last), boxes.indexOf(box)].sort((a, b) => a - b);
        for (const between of boxes.slice(from, to + 1)) between.checked = box.checked;
      }
      last = box;
      tell();
    });
  }
  table.closest("form").addEventListener("reset", () => setTimeout(tell));
}

// Properties are suggested as they are typed: keys and their values with what they are of.
for (const field of document.querySelectorAll("[data-suggest]")) {
  let wait;
  const suggest = async () => {
    const [key, ...rest] = field.value.split("=");
    const ask = new URL(field.dataset.suggest, location.href);
    if (rest.length) {
      ask.searchParams.set("key", key.trim());
      ask.searchParams.set("like", rest.join("=").trim());
    }
    ask.searchParams.set("values", rest.length ? "20" : "5");
    const answer = await fetch(ask).catch(() => null);
    if (!answer?.ok) return;
    const { items } = await answer.json();
    const options = items.flatMap((item) => item.values.map(({ value }) => {
      const option = document.createElement("option");
      option.value = `${item.key}=${value}`;
      return option;
    }));
    field.list.replaceChildren(...options);
  };
  field.addEventListener("input", () => {
    clearTimeout(wait);
    wait = setTimeout(suggest, 150);
  });
}

const KEYS = [
  ["/", "search"],
  ["j", "next row"],
  ["k", "previous row"],
  ["Enter", "open the row"],
  ["x", "select the row"],
  ["c", "copy the pull command"],
  ["g h", "home"],
  ["g r", "repositories"],
  ["g a", "artifacts"],
  ["g s", "system"],
  ["?", "this help"],
];

function help() {
  const old = document.querySelector("dialog.keys");
  if (old) return old.showModal();
  const dialog = document.createElement("dialog");
  dialog.className = "dialog keys";
  dialog.setAttribute("aria-label", "Keys");
  const list = document.createElement("dl");
  list.className = "facts";
  for (const [key, what] of KEYS) {
    const term = document.createElement("dt");
    for (const one of key.split(" ")) {
      const kbd = document.createElement("kbd");
      kbd.textContent = one;
      term.append(kbd, " ");
    }
    const text = document.createElement("dd");
    text.textContent = what;
    list.append(term, text);
  }
  const close = document.createElement("form");
  close.method = "dialog";
  close.className = "row end";
  const button = document.createElement("button");
  button.className = "btn";
  button.textContent = "Close";
  close.append(button);
  dialog.append(list, close);
  document.body.append(dialog);
  dialog.showModal();
}

/** Moves the focus among the rows of the page's list. */
function move(step) {
  const links = [...document.querySelectorAll("table[data-rows] tbody th a")];
  if (!links.length) return;
  const here = links.findIndex((link) => link.closest("tr").contains(document.activeElement));
  links[Math.min(Math.max(here + step, 0), links.length - 1)].focus();
}

const PLACES = { h: "/", r: "/repositories", a: "/artifacts", s: "/system" };
let prefix = false;

document.addEventListener("keydown", (event) => {
  const field = event.target.closest("input:not([type=checkbox], [type=radio]), textarea, select, dialog");
  if (field || event.ctrlKey || event.metaKey || event.altKey) return;
  const row = document.activeElement?.closest("tr");
  if (prefix) {
    prefix = false;
    const place = PLACES[event.key];
    if (place) location.assign(place);
    return;
  }
  switch (event.key) {
    case "/": document.querySelector("main [type=search], [data-key='/']")?.focus(); break;
    case "j": move(1); break;
    case "k": move(-1); break;
    case "x": row?.querySelector("[type=checkbox]")?.click(); break;
    case "c": row?.querySelector(".act [data-copy], .chips [data-copy]")?.click(); break;
    case "g": prefix = true; break;
    case "?": help(); break;
    default: return;
  }
  event.preventDefault();
});

// Where the registry cannot be reached, a page of ours says so. Browsers have this with https and on this machine.
const { worker } = document.querySelector("script[data-worker]")?.dataset ?? {};
if (worker && "serviceWorker" in navigator) {
  const policy = window.trustedTypes?.createPolicy("worker", { createScriptURL: (url) => url });
  navigator.serviceWorker.register(policy?.createScriptURL(worker) ?? worker, { scope: "/" }).catch(() => {});
}

// And that page tries again.
const retry = document.querySelector("[data-retry]");
if (retry) {
  setInterval(async () => {
    const answer = await fetch("/health", { cache: "no-store" }).catch(() => null);
    if (answer) location.reload();
  }, 1000 * retry.dataset.retry);
}
