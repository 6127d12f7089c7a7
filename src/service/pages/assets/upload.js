// Uploads files in chunks, and continues after an interruption. An upload that has begun is remembered in the browser by
// the name, the size and the time of the file; how far it is, the registry says.

const CHUNK = 8 << 20;
/** Waits between attempts, in seconds; after the last one a button asks. */
const WAITS = [1, 2, 5, 10, 20, 30];
const KEPT = "upload:";

const form = document.querySelector("form[data-upload]");
const base = form.dataset.upload;
const list = form.querySelector("[data-jobs]");
const drop = form.querySelector(".drop");
const queue = [];
let running = false;

/** A number of bytes, as the server writes it. */
function size(bytes) {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let unit = 0;
  while (bytes >= 1023.5 && unit < units.length - 1) {
    bytes /= 1024;
    unit += 1;
  }
  return `${unit ? bytes.toFixed(1) : bytes} ${units[unit]}`;
}

function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

// What the browser remembers. Where it must not, uploads only continue while the page is open.
const memory = {
  key: (file, path) => `${KEPT}${base}:${path}:${file.size}:${file.lastModified}`,
  get(key) {
    try {
      return JSON.parse(localStorage.getItem(key));
    } catch {
      return null;
    }
  },
  set(key, value) {
    try {
      localStorage.setItem(key, JSON.stringify(value));
    } catch { /* full, or forbidden */ }
  },
  remove(key) {
    try {
      localStorage.removeItem(key);
    } catch { /* forbidden */ }
  },
  /** The uploads to this repository that have not ended. */
  all() {
    try {
      const keys = Object.keys(localStorage).filter((key) => key.startsWith(`${KEPT}${base}:`));
      return keys.map((key) => [key, this.get(key)]).filter(([, kept]) => kept?.location?.startsWith(`${base}/upload/`));
    } catch {
      return [];
    }
  },
};

/** What the API answered when it refused, for people. */
function problem(request) {
  try {
    const [{ message, detail }] = JSON.parse(request.responseText).errors;
    const fields = Array.isArray(detail) ? detail.map(({ at, problem }) => (at ? `${at}: ${problem}` : problem)).filter(Boolean) : [];
    return fields.join("; ") || message;
  } catch {
    return request.status ? `the registry answered ${request.status}` : "the connection was lost";
  }
}

/** Sends a request; `told` hears how much of it has been sent. Rejects with the request if it was not answered. */
function send(job, method, target, { headers = {}, body = null, told } = {}) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    job.request = request;
    request.open(method, target);
    for (const [name, value] of Object.entries(headers)) request.setRequestHeader(name, value);
    if (told) request.upload.onprogress = ({ loaded }) => told(loaded);
    request.onload = () => resolve(request);
    request.onerror = request.onabort = () => reject(request);
    request.send(body);
  });
}

/** A refusal that no repetition changes. */
class Refused extends Error {}

/** Something that may be over in a moment: a lost connection, a registry that starts or is busy. */
class Interrupted extends Error {}

async function ask(job, method, target, options) {
  const answer = await send(job, method, target, options).catch((request) => {
    throw new Interrupted(job.cancelled ? "cancelled" : problem(request));
  });
  if (answer.status >= 500 || answer.status === 429 || answer.status === 408) throw new Interrupted(problem(answer));
  return answer;
}

/** Where an upload is, by an answer about it: its address ends with the number of bytes that are there. */
function place(answer) {
  const location = answer.getResponseHeader("Location");
  const offset = Number(location?.split(".").pop());
  if (!location?.startsWith(`${base}/upload/`) || !Number.isSafeInteger(offset)) throw new Refused("the answer names no upload");
  return { location, offset };
}

async function begin(job) {
  const kept = job.location ?? memory.get(job.key)?.location;
  if (kept?.startsWith(`${base}/upload/`)) {
    const answer = await ask(job, "GET", kept);
    if (answer.status < 300) {
      const at = place(answer);
      // More than the file has: this is the upload of another one.
      if (at.offset <= job.file.size) return at;
    }
    memory.remove(job.key);
  }
  const answer = await ask(job, "POST", `${base}/upload?size=${job.file.size}`);
  if (answer.status !== 202) throw new Refused(problem(answer));
  return place(answer);
}

async function transfer(job) {
  let at = await begin(job);
  job.resumed = at.offset;
  while (true) {
    job.location = at.location;
    memory.set(job.key, { location: at.location, path: job.path, version: job.version, size: job.file.size });
    job.show(at.offset);
    if (at.offset >= job.file.size) return at.location;
    const { offset } = at;
    const chunk = job.file.slice(offset, Math.min(offset + CHUNK, job.file.size));
    const answer = await ask(job, "PATCH", at.location, {
      headers: { "Content-Type": "application/octet-stream", "Content-Range": `${offset}-${offset + chunk.size - 1}` },
      body: chunk,
      told: (sent) => job.show(Math.min(offset + sent, job.file.size)),
    });
    if (answer.status === 404) throw new Interrupted("the upload has expired");
    // Another one was faster, or a part of the chunk arrived: the registry says where to go on.
    if (answer.status !== 202 && answer.status !== 416) throw new Refused(problem(answer));
    at = answer.status === 202 ? place(answer) : place(await ask(job, "GET", at.location));
  }
}

/** Makes the artifact of what was uploaded. */
async function finish(job, location) {
  const target = new URL(location, document.baseURI);
  target.searchParams.set("version", job.version);
  target.searchParams.set("path", job.path);
  if (job.overwrite) target.searchParams.set("overwrite", "true");
  const body = JSON.stringify({ properties: job.properties, ...(job.file.type ? { media_type: job.file.type } : {}) });
  const answer = await ask(job, "PUT", target, { headers: { "Content-Type": "application/json" }, body });
  if (answer.status !== 200 && answer.status !== 201) throw new Refused(problem(answer));
  return JSON.parse(answer.responseText);
}

async function run(job) {
  let failures = 0;
  while (!job.cancelled) {
    try {
      const before = job.sent;
      try {
        job.done(await finish(job, await transfer(job)));
        return;
      } finally {
        if (job.sent > before) failures = 0;
      }
    } catch (error) {
      if (job.cancelled) return;
      if (!(error instanceof Interrupted) || failures >= WAITS.length) return job.failed(error.message);
      const wait = WAITS[failures];
      failures += 1;
      job.waits(error.message, wait);
      await new Promise((resolve) => {
        setTimeout(resolve, 1000 * wait);
        addEventListener("online", resolve, { once: true });
      });
    }
  }
}

async function work() {
  if (running) return;
  running = true;
  while (queue.length) await run(queue.shift());
  running = false;
}

class Job {
  /** The file of a path below the directory that the form names. */
  constructor(file, below, under, { version, properties, overwrite }) {
    const path = under ? `${under}/${below}` : below;
    Object.assign(this, { file, path, version, properties, overwrite, sent: 0, cancelled: false });
    this.key = memory.key(file, below);
    this.state = element("span", { class: "small", role: "status" }, "waits");
    this.bar = element("progress", { max: Math.max(file.size, 1), value: 0, "aria-label": `Upload of ${path}` });
    this.stop = element("button", { class: "btn quiet", type: "button", "aria-label": `Cancel ${path}` }, "Cancel");
    this.stop.addEventListener("click", () => this.cancel());
    this.name = element("b", { class: "break" }, element("bdi", {}, path));
    this.row = element("span", { class: "row small" }, this.state, this.stop);
    this.element = element("div", { class: "job" }, this.name, this.row, this.bar);
    list.hidden = false;
    list.append(this.element);
  }

  show(sent) {
    const now = performance.now();
    if (this.sent === 0 || sent < this.sent) this.since = { now, sent };
    this.sent = sent;
    this.bar.value = sent;
    const seconds = (now - this.since.now) / 1000;
    const speed = seconds > 1 ? `, ${size((sent - this.since.sent) / seconds)}/s` : "";
    const share = this.file.size ? Math.floor((100 * sent) / this.file.size) : 100;
    const again = this.resumed ? "continued, " : "";
    this.state.className = "small";
    this.state.textContent = `${again}${share} %, ${size(sent)} of ${size(this.file.size)}${speed}`;
  }

  waits(message, seconds) {
    this.state.className = "small warn";
    this.state.textContent = `${message}; continues in ${seconds} s`;
  }

  failed(message) {
    this.state.className = "small stop";
    this.state.textContent = message;
    const again = element("button", { class: "btn", type: "button" }, "Try again");
    again.addEventListener("click", () => {
      again.remove();
      // What was changed in the form meanwhile counts.
      Object.assign(this, described() ?? {});
      queue.push(this);
      work();
    });
    this.stop.before(again);
  }

  done(artifact) {
    memory.remove(this.key);
    this.stop.remove();
    this.bar.value = this.bar.max;
    this.state.className = "small good";
    this.state.textContent = `${size(this.file.size)}, stored`;
    const page = `${form.dataset.page}/-/files/${[artifact.version, ...artifact.path.split("/")].map(encodeURIComponent).join("/")}?id=${artifact.id}`;
    this.name.replaceChildren(element("a", { href: page }, element("bdi", {}, artifact.path)));
  }

  cancel() {
    this.cancelled = true;
    this.request?.abort();
    const place = queue.indexOf(this);
    if (place >= 0) queue.splice(place, 1);
    forget(this.key, this.location ?? memory.get(this.key)?.location);
    this.element.remove();
    list.hidden = !list.children.length;
  }
}

/** Ends an upload that is not wanted any more. */
function forget(key, location) {
  memory.remove(key);
  if (location?.startsWith(`${base}/upload/`)) fetch(location, { method: "DELETE" }).catch(() => {});
}

/** What the form says about the next files, or nothing if something is wrong with it. */
function described() {
  if (!form.reportValidity()) return null;
  const properties = {};
  const field = form.elements.properties;
  for (const line of field.value.split("\n").filter((line) => line.trim())) {
    const end = line.indexOf("=");
    if (end < 1) {
      field.setCustomValidity(`“${line.trim()}” is not written as key=value.`);
      field.reportValidity();
      return null;
    }
    properties[line.slice(0, end).trim()] = line.slice(end + 1).trim();
  }
  return { version: form.elements.version.value.trim(), properties, overwrite: form.elements.overwrite.checked };
}
form.elements.properties.addEventListener("input", ({ target }) => target.setCustomValidity(""));

/** Takes files, each with its path below the directory. */
function take(files) {
  const about = files.length ? described() : null;
  if (!about) return;
  const under = form.elements.under.value.trim().replace(/^\/+|\/+$/g, "");
  for (const [file, path] of files) {
    const job = new Job(file, path, under, about);
    left.get(job.key)?.remove();
    if (file.size > Number(form.dataset.most)) job.failed(`larger than ${size(Number(form.dataset.most))}`);
    else queue.push(job);
  }
  work();
}

/** The files below an entry that was dropped. */
async function filesOf(entry) {
  if (entry.isFile) {
    const file = await new Promise((resolve, reject) => entry.file(resolve, reject));
    return [[file, entry.fullPath.replace(/^\//, "")]];
  }
  const reader = entry.createReader();
  const found = [];
  // A directory is read in pieces.
  while (true) {
    const piece = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
    if (!piece.length) return found;
    for (const one of piece) found.push(...(await filesOf(one)));
  }
}

form.addEventListener("submit", (event) => event.preventDefault());
drop.querySelector("[type=file]").addEventListener("change", ({ target }) => {
  take([...target.files].map((file) => [file, file.name]));
  target.value = "";
});
for (const kind of ["dragenter", "dragover", "dragleave", "drop"]) {
  addEventListener(kind, (event) => {
    if (!event.dataTransfer?.types.includes("Files")) return;
    // Otherwise the browser would show the file in place of the page.
    event.preventDefault();
    drop.classList.toggle("over", kind === "dragenter" || kind === "dragover");
  });
}
addEventListener("drop", async ({ dataTransfer }) => {
  const entries = [...dataTransfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
  const files = [...dataTransfer.files].map((file) => [file, file.name]);
  take(entries.length ? (await Promise.all(entries.map(filesOf))).flat() : files);
});
addEventListener("beforeunload", (event) => {
  if (running) event.preventDefault();
});

// What was interrupted before the page was opened.
const left = new Map();
for (const [key, kept] of memory.all()) {
  const offset = Number(String(kept.location).split(".").pop()) || 0;
  const share = kept.size ? Math.floor((100 * offset) / kept.size) : 100;
  const drops = element("button", { class: "btn quiet", type: "button", "aria-label": `Cancel ${kept.path}` }, "Cancel");
  const row = element("div", { class: "job" },
    element("b", { class: "break" }, element("bdi", {}, String(kept.path))),
    element("span", { class: "row small" }, element("span", { class: "small warn" }, `interrupted at ${share} %: choose the file again`), drops));
  drops.addEventListener("click", () => {
    forget(key, kept.location);
    row.remove();
    list.hidden = !list.children.length;
  });
  left.set(key, row);
  list.append(row);
  list.hidden = false;
  if (!form.elements.version.value) form.elements.version.value = String(kept.version ?? "");
}
