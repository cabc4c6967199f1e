// Starts the page, and says so in its place where it cannot. A file of its own because the Content-Security-Policy allows
// no inline script.

/** What helps, by what went wrong. */
function help(error) {
  // A host's page of an error in place of the file.
  const other = /magic|\\0asm|failed to fetch/.test(error?.message);
  const old = !other && (typeof WebAssembly === "undefined" || error instanceof SyntaxError || error instanceof WebAssembly.CompileError);
  if (old) return "This browser is too old for the lab, or WebAssembly is switched off in it. Chrome or Edge 123, Firefox 120, Safari 17.5 and newer run it.";
  if (other || error instanceof TypeError) return "A part of the page did not arrive. Check the connection and load the page again.";
  return "Load the page again. If it stops again, try a private window: what an extension or an earlier visit left behind is then out of the way.";
}

/** Says what failed and what helps, above whatever is there. */
function say(what, error) {
  if (document.querySelector(".page-failed")) return;
  const box = document.createElement("div");
  box.className = "page-failed";
  box.setAttribute("role", "alert");
  const add = (tag, text) => box.appendChild(Object.assign(document.createElement(tag), { textContent: text }));
  add("h1", what);
  add("p", help(error));
  add("pre", `${error?.name ?? "Error"}: ${error?.message ?? error}`);
  add("button", "Load again").addEventListener("click", () => location.reload());
  document.body.prepend(box);
}

// Some browsers name languages that are none ("C"), and uPlot asks for the numbers of this one before anything is drawn.
try {
  new Intl.NumberFormat(navigator.language);
} catch {
  Object.defineProperty(navigator, "language", { value: "en-US" });
}

// A program that has trapped does nothing any more, and cannot say so.
addEventListener("error", ({ error }) => {
  if (error instanceof WebAssembly.RuntimeError) say("The page has stopped", error);
});

const engine = new Promise((ready) => addEventListener("engine-ready", ready, { once: true }));
try {
  const wasm = document.getElementById("page-wasm").href;
  const { default: init } = await import(document.getElementById("page-js").href);
  await init({ module_or_path: wasm });
} catch (error) {
  say("The page could not start", error);
  throw error;
}

// After the first load the lab also works offline; a browser without service workers just does without. Once an engine
// stands, so that nothing holds it up, the program and the default preset's data are kept, and then what is in use and the
// other data packs, these unless the person has asked to save data.
await engine;
if ("serviceWorker" in navigator && window.isSecureContext) {
  try {
    await navigator.serviceWorker.register("sw.js");
    const { active } = await navigator.serviceWorker.ready;
    active.postMessage(navigator.connection?.saveData ? "keep used" : "keep all");
  } catch (error) {
    console.info("offline use is off:", error.message);
  }
}
