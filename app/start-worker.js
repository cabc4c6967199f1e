// Starts the engine in a module worker. Messages that arrive while the engine is still loading would find no
// handler and be lost, so they wait here and are delivered in order once the engine has set its own.
const early = [];
const wait = (event) => early.push(event);
self.onmessage = wait;

// The version in this file's own address reaches the engine's files, so that a cache never mixes two builds.
const version = new URL(import.meta.url).search;
const { default: init } = await import(`./worker.js${version}`);
await init({ module_or_path: new URL(`./worker_bg.wasm${version}`, import.meta.url) });

if (self.onmessage === wait) throw new Error("the engine has set no message handler");
for (const event of early) self.onmessage(event);
