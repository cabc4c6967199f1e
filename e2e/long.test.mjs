// Runs of any length: the lanes hold what a screen can show, and a part of them that a hand chooses.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { open, ready, state, until, visit } from "./harness.mjs";

let lab;
before(async () => (lab = await open()));
after(() => lab.close());

/** The step under the pointer at a share of a lane's width, as its caption says it. */
async function stepAt(page, figure, share) {
  const lane = page.locator(`[data-figure="${figure}"]`);
  const plot = lane.locator(".u-over");
  // A chart that is being laid out anew has no place yet.
  let box;
  for (let tries = 0; !box && tries < 50; tries++) {
    await plot.waitFor();
    box = await plot.boundingBox();
  }
  const [x, y] = [box.x + share * box.width, box.y + box.height / 2];
  // A pointer that has not moved is not noticed.
  await page.mouse.move(x - 4, y - 4);
  await page.mouse.move(x, y);
  await page.waitForTimeout(200);
  const [, step] = /at (\d+)$/.exec(await lane.locator(".now").textContent()) ?? [];
  return Number(step);
}

test("a run of a billion steps opens and trains, and a part of it can be chosen", async () => {
  const page = await visit(lab, "#lab?preset=spirals&steps=1000000000&schedule.warmup=1000&probes.evaluate=0&probes.look=0&v=1");
  await ready(page, "cpu");
  await until(page, (event) => event.event === "configured");
  await page.getByRole("button", { name: "Run", exact: true }).click();
  await until(page, (event) => event.event === "metrics" && event.first_step + event.loss.length > 1000);
  await page.keyboard.press(" ");
  await state(page, "paused");
  const last = await stepAt(page, "learning-rate", 0.999);
  assert.ok(last > 9.9e8 && last <= 1e9, `the axis ends at ${last}`);
  const bytes = await page.evaluate(() => performance.memory.usedJSHeapSize);
  assert.ok(bytes < 200e6, `the page holds ${bytes} bytes`);

  // A part of one lane is chosen: the others follow, and a double click on any shows all again.
  const box = await page.locator('[data-figure="loss"] .u-over').boundingBox();
  await page.mouse.move(box.x + box.width / 4, box.y + box.height / 2);
  await page.mouse.down();
  await page.mouse.move(box.x + box.width / 3, box.y + box.height / 2, { steps: 3 });
  await page.mouse.move(box.x + box.width / 2, box.y + box.height / 2, { steps: 3 });
  await page.mouse.up();
  await page.waitForTimeout(1000);
  for (const figure of ["learning-rate", "batch-size"]) {
    const [first, end] = [await stepAt(page, figure, 0.005), await stepAt(page, figure, 0.995)];
    assert.ok(first > 2.4e8 && first < 2.7e8 && end > 4.8e8 && end < 5.1e8, `${figure} shows ${first} to ${end}`);
  }
  await page.locator('[data-figure="batch-size"] .u-over').dblclick({ position: { x: 30, y: 10 } });
  await page.waitForTimeout(1000);
  const all = await stepAt(page, "learning-rate", 0.999);
  assert.ok(all > 9.9e8, `after a double click the axis ends at ${all}`);
  const [point, plot] = await Promise.all([".handle", ".u-over"].map((part) => page.locator(`[data-figure="batch-size"] ${part}`).boundingBox()));
  assert.ok(Math.abs(point.x + point.width / 2 - plot.x) < 8, `the batch's point is at ${point.x}, where the lane begins at ${plot.x}`);
  assert.deepEqual(page.faults, []);
  await page.context().close();
});
