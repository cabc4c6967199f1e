// Starts the page. A file of its own because the Content-Security-Policy allows no inline script.
const wasm = document.getElementById("page-wasm").href;
const { default: init } = await import(document.getElementById("page-js").href);
await init({ module_or_path: wasm });

// After the first load the lab also works offline; a browser without service workers just does without. The program
// and the default preset's data are kept at once, the other data packs as soon as the page is idle, unless the person
// has asked to save data.
if ("serviceWorker" in navigator && window.isSecureContext) {
  try {
    await navigator.serviceWorker.register("sw.js");
    const { active } = await navigator.serviceWorker.ready;
    if (!navigator.connection?.saveData) active.postMessage("keep all");
  } catch (error) {
    console.info("offline use is off:", error.message);
  }
}
