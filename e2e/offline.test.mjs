import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { open, visit } from "./harness.mjs";

let lab;
before(async () => (lab = await open()));
after(() => lab.close());

test("after the first load every file of the build comes without a network", async () => {
  const page = await visit(lab, "", { offline: true });
  const missing = () =>
    page.evaluate(async () => {
      const script = await (await fetch("sw.js")).text();
      const files = JSON.parse(/new Map\((\[\[.*\]\])\)/.exec(script)[1]);
      return files.length - (await (await caches.open("minibatch")).keys()).length;
    });
  for (let tries = 0; (await missing()) > 0; tries++) {
    assert.ok(tries < 100, "the service worker has not kept every file within 20 s");
    await page.waitForTimeout(200);
  }
  assert.deepEqual(page.faults, []);

  await page.context().setOffline(true);
  await page.reload();
  await page.waitForFunction(() => document.body.innerText.trim().length > 0);
  const statuses = await page.evaluate(async (paths) => {
    const worker = document.querySelector("meta[name=worker]").content;
    const answers = await Promise.all([worker, ...paths].map((path) => fetch(path)));
    return answers.map((answer) => answer.status);
  }, ["data/mnist.bin", "data/weather.bin"]);
  assert.deepEqual(statuses, [200, 200, 200]);
  // Chromium itself looks for a newer sw.js, which cannot succeed offline and is no fault.
  assert.deepEqual(page.faults.filter((fault) => !fault.includes("sw.js")), []);
});
