import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { open, visit } from "./harness.mjs";

let lab;
before(async () => (lab = await open()));
after(() => lab.close());

test("the page loads below a path, without a fault", async () => {
  const page = await visit(lab);
  await page.waitForFunction(() => document.body.innerText.trim().length > 0);
  assert.deepEqual(page.faults, []);
});

test("this browser offers WebGPU", async () => {
  const page = await visit(lab);
  const adapter = await page.evaluate(async () => {
    const found = await navigator.gpu?.requestAdapter();
    return found && { fallback: found.info.isFallbackAdapter, architecture: found.info.architecture };
  });
  assert.ok(adapter, "no adapter");
});
