// Starts one of the engine's programs in a module worker: the one that this file's address names. While it is fetched, the
// page receives which share of it is there: `{loaded}`; if it cannot be started, why: `{failed}`.
//
// Messages that arrive while the program is still loading would find no handler and be lost, so they wait here and are
// delivered in order once the program has set its own.
const early = [];
const wait = (event) => early.push(event);
self.onmessage = wait;

// Free again once the worker has ended, however that came about: so the page notices (js/alive.js). The page asks for the lock
// at the worker's first word, so that the worker says none before the lock is its own.
const held = new Promise((hold) => {
  if (!navigator.locks) hold();
  else navigator.locks.request(self.name, () => (hold(), new Promise(() => {}))).catch(hold);
});
// What fails in a promise ends the engine as well; the page is told of errors only.
self.addEventListener("unhandledrejection", ({ reason }) => setTimeout(() => { throw reason; }));

// wgpu 30 does not ask browsers for subgroups, in which lanes of an adapter hand each other numbers.
const request = self.GPUAdapter?.prototype.requestDevice;
if (request) {
  GPUAdapter.prototype.requestDevice = function ({ requiredFeatures = [], ...wanted } = {}) {
    self.subgroups = this.features.has("subgroups");
    return request.call(this, { ...wanted, requiredFeatures: self.subgroups ? [...requiredFeatures, "subgroups"] : requiredFeatures });
  };
}

// The version in this file's own address reaches the program's files, so that a cache never mixes two builds.
const own = new URL(import.meta.url).searchParams;
const file = (ending) => new URL(`./${own.get("program")}${ending}?v=${own.get("v")}`, import.meta.url);

/** The answer for the program's code, which is counted as it arrives. */
async function code() {
  const answer = await fetch(file("_bg.wasm"));
  if (!answer.ok) throw new Error(`its code could not be loaded: status ${answer.status}`);
  // A line that breaks is told where the answer itself is read.
  count(answer.clone().body).catch(() => {});
  return answer;
}

/** Tells the page how much has arrived, each percent once. The address says how much there is: a host that compresses does not. */
async function count(body) {
  const total = Number(own.get("bytes"));
  let bytes = 0;
  let told = 0;
  await held;
  for await (const chunk of chunks(body)) {
    bytes += chunk.length;
    const loaded = Math.floor((100 * bytes) / total) / 100;
    if (loaded > told) self.postMessage({ loaded: (told = loaded) });
  }
}

/** As `for await (.. of body)`, which not every browser has. */
async function* chunks(body) {
  const reader = body.getReader();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    yield value;
  }
}

/** The program, compiled as it arrives, or once it is there from hosts that do not say of what kind it is. */
async function compiled() {
  const answer = await code();
  const known = answer.headers.get("content-type") === "application/wasm";
  return known ? WebAssembly.compileStreaming(answer) : WebAssembly.compile(await answer.arrayBuffer());
}

try {
  const arriving = compiled();
  const [{ default: init }, { laid }] = await Promise.all([import(file(".js")), import("./js/threads.js")]);
  const program = await arriving;
  await init({ module_or_path: program, memory: laid(program) });
  await held;
  if (self.onmessage === wait) throw new Error("the program has set no message handler");
  for (const event of early) self.onmessage(event);
} catch (error) {
  await held;
  self.postMessage({ failed: error.message });
}
