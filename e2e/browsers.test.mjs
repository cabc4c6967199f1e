// The other engines: Firefox ESR and WebKitGTK load the lab and train 20 steps on their CPU executors, and the losses are
// those of Chromium bit for bit. What is not installed is said and skipped.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { existsSync, readdirSync } from "node:fs";
import { createServer } from "node:net";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import puppeteer from "puppeteer-core";
import { losses, open, ready, state, visit } from "./harness.mjs";

const LINK = "#lab?preset=mlp&steps=20&v=1";
/** The losses of the newest run that the page keeps. */
const LOSSES = `new Promise((resolve, reject) => {
  const opening = indexedDB.open("minibatch");
  opening.onerror = () => reject(opening.error);
  opening.onsuccess = () => {
    const all = opening.result.transaction("runs").objectStore("runs").getAll();
    all.onerror = () => reject(all.error);
    all.onsuccess = () => {
      opening.result.close();
      resolve(all.result.length ? Array.from(all.result.at(-1).columns[0]) : []);
    };
  };
})`;

let lab;
let expected;
before(async () => {
  lab = await open({ webgpu: false });
  const page = await visit(lab, LINK);
  await ready(page, "cpu");
  await page.getByRole("button", { name: "Run", exact: true }).click();
  await state(page, "done");
  // As the page keeps them: events write the shortest decimals of the same f32.
  expected = losses(page).map(Math.fround);
  await page.context().close();
});
after(() => lab.close());

/** Waits until `script` gives something in the browser. */
async function until(evaluate, script, seconds = 90) {
  for (const end = Date.now() + seconds * 1000; Date.now() < end; await sleep(200)) {
    const value = await evaluate(script);
    if (value) return value;
  }
  throw new Error(`waited ${seconds} s in vain for ${script}; the page says: ${await evaluate("document.body.innerText.slice(0, 500)")}`);
}

/** Trains as a person would; `evaluate` gives the value of a script, or of its promise, in the open page. */
async function trains(evaluate) {
  await until(evaluate, `document.querySelector('[data-backend="cpu"]') !== null`);
  await until(evaluate, `(document.querySelector(".play")?.click(), true)`);
  await until(evaluate, `document.querySelector('[data-state="done"]') !== null`);
  await until(evaluate, `${LOSSES}.then((all) => all.length === 20)`);
  assert.deepEqual(await evaluate(LOSSES), expected);
}

test("Firefox ESR", async (t) => {
  const executablePath = process.env.FIREFOX ?? "/usr/bin/firefox-esr";
  if (!existsSync(executablePath)) return t.skip(`no Firefox at ${executablePath}; set FIREFOX`);
  const browser = await puppeteer.launch({ browser: "firefox", executablePath, headless: true });
  t.after(() => browser.close());
  const page = await browser.newPage();
  const faults = [];
  page.on("pageerror", (error) => faults.push(error.message));
  await page.goto(lab.url + LINK);
  await trains((script) => page.evaluate(script));
  assert.deepEqual(faults, []);
});

/** A port that is free now. */
const freePort = () =>
  new Promise((resolve, reject) => {
    const server = createServer();
    server.once("error", reject).listen(0, "127.0.0.1", () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });

/** Debian puts it below a folder named after the machine's architecture and one after its own version. */
function miniBrowser() {
  const folders = (path, named) => (existsSync(path) ? readdirSync(path).filter((name) => named.test(name)).map((name) => `${path}/${name}`) : []);
  const all = folders("/usr/lib", /-linux-gnu/).flatMap((path) => folders(path, /^webkit2?gtk-/));
  return all.map((path) => `${path}/MiniBrowser`).find(existsSync);
}

/** WebKitGTK's own browser through its WebDriver; in the language "C", which is that of many machines without a screen. */
test("WebKitGTK", async (t) => {
  const binary = miniBrowser();
  const needed = ["/usr/bin/WebKitWebDriver", "/usr/bin/xvfb-run"].filter((path) => !existsSync(path));
  if (!binary || needed.length > 0) return t.skip(`missing: ${[...needed, ...(binary ? [] : ["MiniBrowser"])].join(", ")}`);
  const port = await freePort();
  const env = { ...process.env, LANG: "C", LC_ALL: "C", WEBKIT_DISABLE_SANDBOX_THIS_IS_DANGEROUS: "1" };
  const driver = spawn("/usr/bin/xvfb-run", ["-a", "/usr/bin/WebKitWebDriver", `--port=${port}`], { env, stdio: "ignore", detached: true });
  t.after(() => process.kill(-driver.pid, "SIGTERM"));
  const ask = async (method, path, body) => {
    const response = await fetch(`http://127.0.0.1:${port}${path}`, { method, body: body && JSON.stringify(body) });
    const { value } = await response.json();
    if (!response.ok) throw new Error(`${path}: ${value.error}: ${value.message}`);
    return value;
  };
  for (let tries = 0; !(await ask("GET", "/status").catch(() => null))?.ready; tries++) {
    if (tries > 100) throw new Error("WebKitWebDriver does not answer");
    await sleep(100);
  }
  const { sessionId } = await ask("POST", "/session", {
    capabilities: { alwaysMatch: { "webkitgtk:browserOptions": { binary, args: ["--automation"] } } },
  });
  const session = `/session/${sessionId}`;
  await ask("POST", `${session}/url`, { url: lab.url + LINK });
  await trains((script) =>
    ask("POST", `${session}/execute/async`, {
      script: `const done = arguments[0]; Promise.resolve(${script}).then(done, (error) => done(String(error)));`,
      args: [],
    }),
  );
  await ask("DELETE", session);
});
