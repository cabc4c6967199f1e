// What the browser tests share: the built page on a free port below a path, headless Chromium with or without WebGPU,
// a record of everything that went wrong on the page, and screenshots in four variants.
import { existsSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { chromium } from "playwright-core";
import { serve } from "../scripts/static-server.mjs";

const DIST = new URL("../dist/", import.meta.url).pathname;
const SHOTS = new URL("../test-results/", import.meta.url).pathname;

export const VIEWPORTS = {
  desktop: { width: 1440, height: 900 },
  phone: { width: 390, height: 844 },
};

const FLAGS = [
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
  // A camera that shows moving shapes, for pages that have been allowed to use it.
  "--use-fake-device-for-media-stream",
];
// The software adapter: no GPU is needed, so the tests run anywhere.
const WEBGPU = ["--enable-unsafe-webgpu", "--use-webgpu-adapter=swiftshader", "--enable-features=Vulkan"];

/**
 * Serves dist/ below a path, as a project page would be, and launches Chromium. Without `webgpu` there is no adapter;
 * `insecure` opens the page by a host name that browsers do not trust without https: then navigator.gpu is not even there.
 * `bitsPerSecond` and `latencyMs` serve it as over a network, `isolated: false` without the headers that threads need.
 */
export async function open({ webgpu = true, insecure = false, ...network } = {}) {
  const served = await serve(DIST, { path: "/below/a/path/", ...network });
  const url = insecure ? served.url.replace("127.0.0.1", "lab.test") : served.url;
  const executablePath = process.env.CHROMIUM ?? "/usr/bin/chromium";
  if (!existsSync(executablePath)) throw new Error(`no Chromium at ${executablePath}; set CHROMIUM`);
  const browser = await chromium.launch({
    executablePath,
    headless: true,
    chromiumSandbox: false,
    // Playwright's own default would switch the GPU process, and with it WebGPU, off.
    ignoreDefaultArgs: ["--disable-gpu"],
    args: [...FLAGS, "--host-resolver-rules=MAP lab.test 127.0.0.1", ...(webgpu ? WEBGPU : [])],
  });
  return {
    browser,
    url,
    cut: served.cut,
    async close() {
      await browser.close();
      served.server.closeAllConnections();
      await new Promise((resolve) => served.server.close(resolve));
    },
  };
}

/**
 * Opens `hash` (null: nothing yet) in a context of its own (or the given one). `page.faults` collects console errors, uncaught errors,
 * violations of the Content-Security-Policy, failed requests and requests to any other origin; `page.events` every event
 * of the workers, `page.asked` every address that was asked for. What `block` matches never gets an answer.
 */
export async function visit(lab, hash = "", { viewport = "desktop", scheme = "light", offline = false, context, block } = {}) {
  context ??= await lab.browser.newContext({
    viewport: VIEWPORTS[viewport],
    colorScheme: scheme,
    serviceWorkers: offline ? "allow" : "block",
    ...(viewport === "phone" ? { isMobile: true, hasTouch: true, deviceScaleFactor: 2 } : {}),
  });
  const page = await context.newPage();
  page.faults = [];
  const origin = new URL(lab.url).origin;
  page.on("console", (message) => {
    if (message.type() === "error") page.faults.push(`console: ${message.text()}`);
  });
  page.on("pageerror", (error) => page.faults.push(`uncaught: ${error.message}`));
  page.on("request", (request) => {
    const { protocol, origin: to } = new URL(request.url());
    if (protocol.startsWith("http") && to !== origin) page.faults.push(`foreign request: ${request.url()}`);
  });
  page.on("requestfailed", (request) => {
    // A page that is left behind cancels its requests: no fault.
    const why = request.failure()?.errorText;
    if (why !== "net::ERR_ABORTED") page.faults.push(`request failed: ${request.url()} ${why}`);
  });
  page.on("response", (response) => {
    if (response.status() >= 400) page.faults.push(`status ${response.status()}: ${response.url()}`);
  });
  page.asked = [];
  page.on("request", (request) => page.asked.push(request.url()));
  if (block) await context.route(block, () => {});
  page.events = [];
  await page.exposeFunction("received", (json) => {
    page.events.push(flat(JSON.parse(json)));
  });
  await page.addInitScript(() => {
    const Native = window.Worker;
    window.Worker = class extends Native {
      constructor(...args) {
        super(...args);
        window.worker = this;
        // Before the engine speaks, app/start-worker.js tells how much of it has arrived.
        this.addEventListener("message", ({ data }) => window.received(data.json ?? JSON.stringify({ start: data })));
      }
    };
    document.addEventListener("securitypolicyviolation", (event) => {
      console.error(`policy violation: ${event.violatedDirective} ${event.blockedURI} ${event.sourceFile}:${event.lineNumber}`);
    });
  });
  if (hash !== null) await page.goto(lab.url + hash);
  return page;
}

/** Subjects whose events lie in an envelope. */
const SUBJECTS = ["run", "data", "study", "sweep"];

/**
 * An event without its envelope: `{ event, ...fields }`. What is said of a run is named by itself (`metrics`), what is said
 * of another subject by both (`study_done`).
 */
function flat(message) {
  const [[subject, fields]] = Object.entries(message);
  if (!SUBJECTS.includes(subject)) return { event: subject, ...fields };
  const { what, ...about } = fields.what ? fields : { what: fields };
  const [[kind, inner]] = Object.entries(what);
  return { event: subject === "run" ? kind : `${subject}_${kind}`, ...about, ...inner };
}

/**
 * Waits for the first event of the worker, from number `from` on, for which `matches` holds, and returns it. Engine
 * errors end the wait: what is waited for will not come.
 */
export async function until(page, matches, { from = 0, seconds = 60, errors = false } = {}) {
  const end = Date.now() + seconds * 1000;
  for (let next = from; ; ) {
    for (; next < page.events.length; next++) {
      const event = page.events[next];
      if (matches(event)) return event;
      if (event.event === "error" && !errors) throw new Error(`the engine says: ${event.message}`);
    }
    if (Date.now() > end) {
      const kinds = page.events.slice(from).map((event) => event.event);
      throw new Error(`waited ${seconds} s in vain after ${[...new Set(kinds)].join(", ") || "nothing"}; ${page.faults.join("; ")}`);
    }
    await sleep(20);
  }
}

/** The page's engines: its workers without the helpers that those have started. */
export const engines = (page) => page.workers().filter((worker) => worker.url().includes("start-worker.js"));

/** Sends the engine a command as the page would. */
export const send = (page, command) =>
  page.evaluate((json) => window.worker.postMessage({ json, buffers: [] }), JSON.stringify(command));

/** Waits until the engine stands, on `backend` if one is named, and returns what it says about it. */
export async function ready(page, backend) {
  const first = await until(page, (event) => event.event === "ready");
  if (!backend || first.backend.kind === backend) return first.backend;
  await page.locator("[data-backend]").click();
  await page.getByRole("radio", { name: backend === "webgpu" ? "WebGPU" : "CPU", exact: true }).click();
  await page.keyboard.press("Escape");
  // Keys mean something else on the button that gets the focus back, and nothing until the page has taken the dialog out:
  // by its role a closed dialog is gone a moment earlier.
  await page.locator("dialog").waitFor({ state: "detached" });
  await page.evaluate(() => document.activeElement.blur());
  return (await until(page, (event) => event.event === "ready" && event.backend.kind === backend)).backend;
}

/** The transport bar, whose `data-state` and `data-step` say where the current run is. */
export const transport = (page) => page.getByRole("toolbar", { name: "Transport" });

/** Waits until the current run is in `state`. */
export async function state(page, wanted, seconds = 60) {
  const reached = transport(page).and(page.locator(`[data-state=${wanted}]`));
  await reached.waitFor({ timeout: seconds * 1000 });
}

/** The curvature's instruments, as links name them, and a part of a link that switches on all. */
export const INSTRUMENTS = ["alpha", "signal", "cabs", "stopping", "elements", "batch_sharpness", "blocks", "perturbation"];
export const ALL_INSTRUMENTS = INSTRUMENTS.map((name) => `&probes.${name}=true`).join("");

/** A context whose workers first run `code`. */
export async function contextWithWorkers(lab, code) {
  const context = await lab.browser.newContext({ serviceWorkers: "block" });
  await context.route("**/start-worker.js*", async (route) => {
    const response = await route.fetch();
    await route.fulfill({ response, body: `${code}\n${await response.text()}` });
  });
  return context;
}

/** The current run's loss at every step, the numbers of a step that was repeated replaced by the last. */
export function losses(page) {
  const run = page.events.findLast((event) => event.event === "configured").run;
  const all = [];
  for (const event of page.events) {
    if (event.event !== "metrics" || event.run !== run) continue;
    event.loss.forEach((loss, i) => (all[event.first_step + i] = loss));
  }
  return all;
}

/** How long `window.work` takes where bounds in seconds are stated for: a machine that does nothing else. */
export const WORK_MS = 28;

/** Gives a page `window.work`, always the same work of the kind that pages do, marked in traces; it returns its milliseconds. */
export const giveWork = (page) =>
  page.evaluate(() => {
    window.work = () => {
      performance.mark("work");
      const begun = performance.now();
      let drawn = 1;
      const points = Array.from({ length: 20_000 }, (_, at) => {
        drawn = (drawn * 48_271) % 2_147_483_647;
        return { at, text: `w${drawn % 9973}`, loss: drawn / 2_147_483_647 };
      });
      JSON.parse(JSON.stringify(points)).sort((a, b) => a.loss - b.loss);
      return performance.now() - begun;
    };
    // The first times a browser interprets it.
    for (let i = 0; i < 10; i++) window.work();
  });

/**
 * How many times as long as on that machine things take here and now, at least 1. Bounds in seconds are multiplied by it,
 * so that they ask the same of a slow or a busy machine.
 */
export async function slowness(lab) {
  const page = await visit(lab, null);
  await giveWork(page);
  const best = await page.evaluate(() => Math.min(...Array.from({ length: 10 }, () => window.work())));
  await page.context().close();
  return Math.max(1, best / WORK_MS);
}

/** Drops a file on the page, as a person would. */
export async function drop(page, name, bytes) {
  const transfer = await page.evaluateHandle(
    ([name, bytes]) => {
      const transfer = new DataTransfer();
      transfer.items.add(new File([new Uint8Array(bytes)], name));
      return transfer;
    },
    [name, [...bytes]],
  );
  await page.dispatchEvent("body", "drop", { dataTransfer: transfer });
}

/** Chooses an entry of a menu. */
export async function choose(page, button, entry) {
  await button.click();
  await page.getByRole("menuitem", { name: entry, exact: true }).click();
}

/** Presses Share and returns the hash of the link that it copies. */
export async function share(page) {
  await page.context().grantPermissions(["clipboard-read", "clipboard-write"]);
  await page.getByRole("button", { name: "Share", exact: true }).click();
  await page.getByText(/copied/i).first().waitFor();
  const { hash } = new URL(await page.evaluate(() => navigator.clipboard.readText()));
  await page.getByRole("button", { name: "Close", exact: true }).click();
  return hash;
}

/** Saves a screenshot as test-results/NAME.png and returns its path. */
export async function shot(page, name) {
  await mkdir(SHOTS, { recursive: true });
  const path = join(SHOTS, `${name}.png`);
  await page.screenshot({ path });
  return path;
}
