// Starts one of the engine's programs in a module worker: the one that this file's address names. Messages that arrive while the engine is still loading would find no
// handler and be lost, so they wait here and are delivered in order once the engine has set its own.
const early = [];
const wait = (event) => early.push(event);
self.onmessage = wait;

// Free again once the worker has ended, however that came about: so the page notices (js/alive.js).
navigator.locks?.request(self.name, () => new Promise(() => {})).catch(() => {});
// What fails in a promise ends the engine as well; the page hears of errors only.
self.addEventListener("unhandledrejection", ({ reason }) => setTimeout(() => { throw reason; }));

// The version in this file's own address reaches the program's files, so that a cache never mixes two builds.
const own = new URL(import.meta.url).searchParams;
const file = (ending) => new URL(`./${own.get("program")}${ending}?v=${own.get("v")}`, import.meta.url);
const { default: init } = await import(file(".js"));
await init({ module_or_path: file("_bg.wasm") });

if (self.onmessage === wait) throw new Error("the engine has set no message handler");
for (const event of early) self.onmessage(event);
