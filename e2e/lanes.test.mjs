// Points of the lanes that a hand drags: the axis beneath them stands still, what they can reach is what there is, and a
// link repeats what was turned.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { open, ready, share, slowness, state, until, visit } from "./harness.mjs";

let lab;
before(async () => (lab = await open()));
after(() => lab.close());

/** Where the middle of a handle is. */
async function middle(handle) {
  const { x, y, width, height } = await handle.boundingBox();
  return [x + width / 2, y + height / 2];
}

/** Drags a handle by so many pixels in small steps, and returns how far it was from the pointer on the way, at most. */
async function drag(page, handle, dx, dy) {
  const [x, y] = await middle(handle);
  await page.mouse.move(x, y);
  await page.mouse.down();
  for (let part = 1; part <= 9; part++) {
    await page.mouse.move(x + (dx * part) / 9, y + (dy * part) / 9);
    await page.waitForTimeout(40);
  }
  await page.waitForTimeout(200);
  const [left, top] = await middle(handle);
  await page.mouse.up();
  return [left - x - dx, top - y - dy];
}

test("a batch dragged up by 27 pixels grows by what the axis says", async () => {
  const page = await visit(lab, "#lab?preset=mlp&batch.size=64&v=1");
  await ready(page, "cpu");
  await until(page, (event) => event.event === "configured");
  const handle = page.locator('[data-figure="batch-size"] .handle');
  const [, away] = await drag(page, handle, 0, -27);
  // It picks powers of two and halves between: never far from the hand.
  assert.ok(Math.abs(away) < 16, `${away} px from the pointer`);
  await page.waitForTimeout(500);
  const size = Number(/batch\.size=(\d+)/.exec(await share(page))?.[1]);
  assert.ok(size > 64 && size <= 256, `${size}`);
  await page.context().close();
});

test("a batch goes no further than the training set", async () => {
  const page = await visit(lab, "#lab?preset=spirals&v=1");
  await ready(page, "cpu");
  const { card } = await until(page, (event) => event.event === "data_card");
  const handle = page.locator('[data-figure="batch-size"] .handle');
  for (let i = 0; i < 16; i++) await handle.press("ArrowUp");
  await page.waitForTimeout(500);
  assert.match(await handle.getAttribute("aria-valuetext"), new RegExp(`^${card.train.toLocaleString("en-US")} `));
  await page.context().close();
});

test("a rate dragged on a logarithmic axis stays under the hand", async () => {
  const page = await visit(lab, "#lab?preset=mlp&v=1");
  await ready(page, "cpu");
  await until(page, (event) => event.event === "configured");
  const lane = page.locator('[data-figure="learning-rate"]');
  await lane.getByRole("button", { name: "Figure menu" }).click();
  await page.getByRole("menuitem", { name: "Logarithmic y axis" }).click();
  await page.waitForTimeout(300);
  const [, away] = await drag(page, lane.locator(".handle").first(), 0, -12);
  assert.ok(Math.abs(away) < 4, `${away} px from the pointer`);
  await page.context().close();
});

test("two drags at one step leave one edit in the link", async () => {
  const page = await visit(lab, "#lab?preset=mlp&steps=1000000&v=1");
  await ready(page, "cpu");
  await page.getByRole("button", { name: "Run", exact: true }).click();
  await until(page, (event) => event.event === "metrics" && event.first_step + event.loss.length > 5);
  await page.keyboard.press(" ");
  await state(page, "paused");
  const handle = page.locator('[data-figure="batch-size"] .handle');
  for (let turns = 1; turns <= 2; turns++) {
    const from = page.events.length;
    await handle.press("ArrowUp");
    await until(page, (event) => event.event === "edited", { from });
  }
  await page.waitForTimeout(300);
  const edits = (await share(page)).match(/batch\.size/g) ?? [];
  assert.equal(edits.length, 1);
  await page.context().close();
});

test("a point keeps the keys while its lane is drawn anew", async () => {
  const page = await visit(lab, "#lab?preset=mlp&v=1");
  await ready(page, "cpu");
  await until(page, (event) => event.event === "configured");
  const handle = page.locator('[data-figure="batch-size"] .handle:visible');
  await handle.waitFor();
  // A browser that is late: each drawing waits for the frame after the next.
  await page.evaluate(() => {
    const frame = window.requestAnimationFrame.bind(window);
    window.requestAnimationFrame = (draw) => frame(() => frame(draw));
  });
  await handle.focus();
  for (let turns = 0; turns < 4; turns++) {
    await page.keyboard.press("ArrowUp");
    await page.waitForTimeout(150);
  }
  assert.match(await share(page), /batch\.size=1024/);
  await page.context().close();
});

test("a pause ends a step of many micro-batches", async () => {
  const link = "#lab?preset=mlp&model.hidden=1024,1024&batch.size=10000&batch.micro=50&probes.curvature=0&v=1";
  const page = await visit(lab, link);
  await ready(page, "cpu");
  await until(page, (event) => event.event === "configured");
  await page.getByRole("button", { name: "Run", exact: true }).click();
  const { fraction } = await until(page, (event) => event.event === "progress" && event.phase === "train");
  assert.ok(fraction < 1);
  assert.match(await page.locator(".transport .rate").textContent(), /^step \d+ \d+%, .* left$/);
  const began = Date.now();
  const from = page.events.length;
  await page.keyboard.press(" ");
  await until(page, (event) => event.event === "state" && event.state === "paused", { from });
  const spent = Date.now() - began;
  assert.ok(spent < 2000 * (await slowness(lab)), `paused after ${spent} ms`);
  await page.context().close();
});
