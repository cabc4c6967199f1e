// Shown to a class: everything grows with the screen, the link keeps it, the button and Escape end it.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { open, ready, share, visit } from "./harness.mjs";

let lab;
before(async () => (lab = await open({ webgpu: false })));
after(() => lab.close());

const LINK = "#lab?preset=mlp&batch.size=32&steps=40&probes.curvature=0&v=2";

/** Sizes of what must grow: title of a figure, numbers, a button's height, the room that a chart's axis has for its numbers. */
const sizes = (page) =>
  page.evaluate(() => {
    const font = (what) => parseFloat(getComputedStyle(document.querySelector(what)).fontSize);
    const axis = document.querySelector("[data-figure=loss] .uplot .u-over");
    return [font(".figure .title"), font(".transport .count"), document.querySelector(".transport .play").offsetHeight, axis.offsetLeft];
  });
const overflows = (page) => page.evaluate(() => document.documentElement.scrollWidth > innerWidth);

test("type, controls and figures grow with the screen, and the link says so", async () => {
  const page = await visit(lab, LINK);
  await ready(page);
  await page.setViewportSize({ width: 1920, height: 1080 });
  await page.locator("[data-figure=loss] .u-over").waitFor();
  const plain = await sizes(page);
  const present = page.getByRole("button", { name: "Present" });
  await present.click();
  assert.equal(await present.getAttribute("aria-pressed"), "true");
  const grown = async (least, most) => {
    await page.waitForFunction(
      ([before, least]) => document.querySelector("[data-figure=loss] .uplot .u-over").offsetLeft > least * before,
      [plain[3], least],
    );
    const now = await sizes(page);
    now.forEach((size, i) => assert.ok(size > least * plain[i] && size < most * plain[i], `${plain} ${now}`));
    assert.equal(await overflows(page), false);
  };
  await grown(1.4, 1.7);
  assert.match(new URL(page.url()).hash, /present=1/);
  const hash = await share(page);
  assert.match(hash, /present=1/);
  await page.setViewportSize({ width: 1440, height: 900 });
  await page.waitForFunction((before) => document.querySelector("[data-figure=loss] .uplot .u-over").offsetLeft < 1.3 * before, plain[3]);
  await grown(1.1, 1.3);

  // Escape ends it, and so does the button.
  await page.keyboard.press("Escape");
  await page.waitForFunction((before) => document.querySelector("[data-figure=loss] .uplot .u-over").offsetLeft === before, plain[3]);
  assert.deepEqual(await sizes(page), plain);
  await page.waitForFunction(() => !location.hash.includes("present"));

  const other = await visit(lab, hash);
  await ready(other);
  const pressed = other.getByRole("button", { name: "Present", pressed: true });
  await pressed.waitFor();
  // It stays from page to page.
  await other.getByRole("link", { name: "Lessons" }).click();
  await other.getByRole("heading", { name: "Lessons" }).first().waitFor();
  await pressed.click();
  await other.waitForFunction(() => !document.documentElement.hasAttribute("data-present"));
  assert.deepEqual([...page.faults, ...other.faults], []);
  await page.context().close();
  await other.context().close();
});
