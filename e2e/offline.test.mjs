import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { png } from "./files.mjs";
import { open, until, visit } from "./harness.mjs";

let lab;
before(async () => (lab = await open()));
after(() => lab.close());

/** Waits until the service worker has kept every file of the build; the program with the studies, and data that one alone reads,
 * only where studies are used. */
async function kept(page, studies = false) {
  const missing = () =>
    page.evaluate(async (studies) => {
      const script = await (await fetch("sw.js")).text();
      const files = JSON.parse(/new Map\((\[\[.*\]\])\)/.exec(script)[1]).map(([name, hash]) => `${name}${name.includes("?") ? "&" : "?"}hash=${hash}`);
      const there = (await (await caches.open("minibatch")).keys()).map((request) => request.url);
      const wanted = files.filter((file) => studies || !/studies-worker|data\/packages/.test(file));
      return wanted.filter((file) => !there.some((url) => url.endsWith(`/${file}`)));
    }, studies);
  for (let tries = 0; (await missing()).length > 0; tries++) {
    assert.ok(tries < 100, `the service worker has not kept these within 20 s: ${await missing()}`);
    await page.waitForTimeout(200);
  }
}

/** Gives the network or takes it away: from the page as the browser does it, and from service workers at the server. */
async function network(page, there) {
  lab.cut(!there);
  await page.context().setOffline(!there);
}

// Chromium itself looks for a newer sw.js, which cannot succeed offline and is no fault.
const faults = (page) => page.faults.filter((fault) => !fault.includes("sw.js"));

test("after the first load every file of the build comes without a network", async () => {
  const page = await visit(lab, "", { offline: true });
  await kept(page);
  assert.deepEqual(page.faults, []);

  await network(page, false);
  await page.reload();
  await page.waitForFunction(() => document.body.innerText.trim().length > 0);
  const statuses = await page.evaluate(async (paths) => {
    const worker = document.querySelector("meta[name=worker]").content;
    const answers = await Promise.all([worker, ...paths].map((path) => fetch(path)));
    return answers.map((answer) => answer.status);
  }, ["data/mnist.bin", "data/weather.bin"]);
  assert.deepEqual(statuses, [200, 200, 200]);
  assert.deepEqual(faults(page), []);
  await network(page, true);
  await page.context().close();
});

test("what a full disk cannot keep reaches the page all the same", async () => {
  const page = await visit(lab, "", { offline: true });
  await kept(page);
  const [worker] = page.context().serviceWorkers();
  await worker.evaluate(() => {
    Cache.prototype.put = () => Promise.reject(new DOMException("full", "QuotaExceededError"));
  });
  const answer = await page.evaluate(async () => {
    await caches.delete("minibatch");
    return [navigator.serviceWorker.controller !== null, (await fetch("data/weather.bin")).status];
  });
  assert.deepEqual(answer, [true, 200]);
  assert.deepEqual(page.faults, []);
  await page.context().close();
});

test("studies run without a network once one has been opened with it, and say so before", async () => {
  const page = await visit(lab, "", { offline: true });
  await kept(page);
  await network(page, false);
  await page.evaluate(() => (location.hash = "#study/4?nodes=2000&steps=20"));
  await page.getByRole("heading", { level: 1 }).waitFor();
  await page.getByRole("alert").filter({ hasText: /once a study has been opened online/ }).waitFor();

  await network(page, true);
  await page.getByRole("button", { name: "Start it again" }).click();
  await page.locator("[data-backend=cpu]").waitFor();
  await network(page, false);
  await page.reload();
  await page.locator("[data-backend=cpu]").waitFor();
  await page.getByRole("button", { name: "Run", exact: true }).click();
  await until(page, (event) => event.event === "study_progress");
  await network(page, true);
  await page.context().close();
});

test("own classes and the camera work without a network; the camera is asked for", async () => {
  const page = await visit(lab, "#fewshot?preset=own&v=2", { offline: true });
  const own = (from = 0) => until(page, (event) => event.event === "fewshot" && "own" in event, { from });
  await own();
  await kept(page, true);
  await network(page, false);
  await page.reload();
  const classes = page.locator(".own-class");
  for (const [i, name] of ["one", "two"].entries()) {
    await page.getByRole("button", { name: "Add a class", exact: true }).click();
    const picture = png(28, (x, y) => ((i ? x : y) % 14 < 4 ? 255 : 0));
    await classes.nth(i).locator("input[type=file]").setInputFiles({ name: `${name}.png`, mimeType: "image/png", buffer: picture });
    await classes.nth(i).locator(".shot").waitFor();
  }
  const camera = page.getByRole("button", { name: "Camera", exact: true });
  await camera.click();
  await page.locator(".toast.bad").filter({ hasText: /There is no camera here/ }).waitFor();
  await page.context().grantPermissions(["camera"]);
  await camera.click();
  await page.locator("[data-answer]").waitFor();
  await page.getByRole("button", { name: "It is B: add it there" }).click();
  await classes.nth(1).locator(".shot").nth(1).waitFor();
  await page.getByRole("button", { name: "Camera off" }).click();
  assert.deepEqual(faults(page), []);
  await network(page, true);
  await page.context().close();
});
