// A browser without WebGPU: the CPU executor does the same work, and the badge says why.
import assert from "node:assert/strict";
import { test } from "node:test";
import { losses, open, ready, state, visit } from "./harness.mjs";

const cases = {
  "no adapter": [{ webgpu: false }, "object"],
  "no navigator.gpu, on a page that is not secure": [{ webgpu: false, insecure: true }, "undefined"],
};

for (const [what, [options, gpu]] of Object.entries(cases)) {
  test(what, async (t) => {
    const lab = await open(options);
    t.after(() => lab.close());
    const page = await visit(lab, "#lab?preset=mlp&steps=40&v=1");
    assert.equal(await page.evaluate(() => typeof navigator.gpu), gpu);
    const backend = await ready(page);
    assert.equal(backend.kind, "cpu");
    assert.match(backend.reason, /WebGPU/);
    await page.getByRole("button", { name: /Backend: CPU.*WebGPU/ }).waitFor();
    await page.getByRole("button", { name: "Run", exact: true }).click();
    await state(page, "done");
    assert.equal(losses(page).length, 40);
    assert.deepEqual(page.faults, []);
  });
}
