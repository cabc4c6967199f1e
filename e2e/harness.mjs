// What the browser tests share: the built page on a free port below a path, headless Chromium with or without WebGPU,
// a record of everything that went wrong on the page, and screenshots in four variants.
import { existsSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
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
];
// The software adapter: no GPU is needed, so the tests run anywhere.
const WEBGPU = ["--enable-unsafe-webgpu", "--use-webgpu-adapter=swiftshader", "--enable-features=Vulkan"];
const NO_WEBGPU = ["--disable-features=WebGPU", "--disable-blink-features=WebGPU"];

/** Serves dist/ below a path, as a project page would be, and launches Chromium. */
export async function open({ webgpu = true, flags = [] } = {}) {
  const { server, url } = await serve(DIST, { path: "/below/a/path/" });
  const executablePath = process.env.CHROMIUM ?? "/usr/bin/chromium";
  if (!existsSync(executablePath)) throw new Error(`no Chromium at ${executablePath}; set CHROMIUM`);
  const browser = await chromium.launch({
    executablePath,
    headless: true,
    chromiumSandbox: false,
    // Playwright's own default would switch the GPU process, and with it WebGPU, off.
    ignoreDefaultArgs: ["--disable-gpu"],
    args: [...FLAGS, ...(webgpu ? WEBGPU : NO_WEBGPU), ...flags],
  });
  return {
    browser,
    url,
    async close() {
      await browser.close();
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/**
 * Opens `hash` in a context of its own. `page.faults` collects console errors, uncaught errors, violations of the
 * Content-Security-Policy, failed requests and requests to any other origin.
 */
export async function visit(lab, hash = "", { viewport = "desktop", scheme = "light", offline = false, context } = {}) {
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
  await page.addInitScript(() => {
    document.addEventListener("securitypolicyviolation", (event) => {
      console.error(`policy violation: ${event.violatedDirective} ${event.blockedURI} ${event.sourceFile}:${event.lineNumber}`);
    });
  });
  await page.goto(lab.url + hash);
  return page;
}

/** Saves a screenshot as test-results/NAME.png and returns its path. */
export async function shot(page, name) {
  await mkdir(SHOTS, { recursive: true });
  const path = join(SHOTS, `${name}.png`);
  await page.screenshot({ path });
  return path;
}
