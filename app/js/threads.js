// Numbers in a program's memory by which its threads tell each other how far they are, and the workers that are its helpers.
// Engine and helpers import this module, each a copy of its own (engine/src/cpu/signal.rs, engine/src/cpu/team.rs).

/** How often a thread looks before it sleeps. */
const LOOKS = 500;
/** The most threads: more gain little with networks as small as these. */
const MOST = 8;

let memory;
let words;
let program;

/** Whose memory this module is about, and what its helpers run: the module of the program. */
export function share(shared, module) {
  memory = shared;
  words = new Int32Array(memory.buffer);
  program = module;
}

/** Memory for a program, laid out as it wants it (scripts/share.mjs), which its threads share from now on. */
export function laid(module) {
  const [image] = WebAssembly.Module.customSections(module, "memory");
  const view = new DataView(image);
  const whole = largest(view.getUint32(0, true));
  for (let at = 4; at < image.byteLength; ) {
    const [place, length] = [view.getUint32(at, true), view.getUint32(at + 4, true)];
    new Uint8Array(whole.buffer, place).set(new Uint8Array(image, at + 8, length));
    at += 8 + length;
  }
  share(whole, module);
  return whole;
}

/** Memory of so many pages to begin with that may grow as far as the browser lets it: some set aside at once what it might need. */
function largest(initial) {
  for (let maximum = 65_536; ; maximum /= 2) {
    try {
      return new WebAssembly.Memory({ initial, maximum, shared: true });
    } catch (error) {
      if (maximum / 2 < initial) throw error;
    }
  }
}

/** Where a number lies; memory that has grown is seen through a new view. */
function place(address) {
  const at = address >>> 2;
  if (at >= words.length) words = new Int32Array(memory.buffer);
  return at;
}

export function get(address) {
  const at = place(address);
  return Atomics.load(words, at);
}

export function set(address, value) {
  const at = place(address);
  Atomics.store(words, at, value);
}

export function add(address, change) {
  const at = place(address);
  return Atomics.add(words, at, change);
}

export function wait(address, seen) {
  const at = place(address);
  for (let look = 0; look < LOOKS; look++) {
    if (Atomics.load(words, at) !== seen) return;
    Atomics.pause?.();
  }
  Atomics.wait(words, at, seen);
}

export function wake(address) {
  const at = place(address);
  Atomics.notify(words, at);
}

/**
 * Threads that this worker may have: one where memory cannot be shared, or where it is one of several (`#alone`). WebKitGTK isolates
 * pages and shares nothing all the same; there `SharedArrayBuffer` is missing.
 */
export function threads() {
  const shares = self.crossOriginIsolated && typeof SharedArrayBuffer === "function";
  if (!shares || !program || self.location.hash === "#alone") return 1;
  return Math.max(1, Math.min(MOST, navigator.hardwareConcurrency));
}

/** Starts a helper. Where it does not start, the engine does its work. */
export function hire(post, member, stack) {
  const helper = new Worker(new URL("./helper.js", import.meta.url), { type: "module", name: `${self.name}-${member}` });
  const told = (reason) => console.info(`thread ${member} of the engine is missing: ${reason ?? "no reason given"}`);
  helper.onerror = (event) => {
    event.preventDefault();
    told(event.message);
  };
  try {
    helper.postMessage({ program, memory, post, member, stack });
  } catch (error) {
    helper.terminate();
    told(error.message);
  }
}
