// Starts the page. A file of its own because the Content-Security-Policy allows no inline script.
const wasm = document.getElementById("page-wasm").href;
const { default: init } = await import(document.getElementById("page-js").href);
await init({ module_or_path: wasm });

// After the first load the lab also works offline; a browser without service workers just does without.
if ("serviceWorker" in navigator && window.isSecureContext) {
  navigator.serviceWorker.register("sw.js").catch((error) => console.info("offline use is off:", error.message));
}
