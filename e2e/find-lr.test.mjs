// Find LR: a copy of the run tries ever larger learning rates; the run takes one over, and otherwise never knows.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { losses, open, ready, shot, state, transport, until, visit } from "./harness.mjs";

const LINK = "#lab?preset=tanh-mlp&steps=30000&probes.curvature=0&v=1";
const STEPS = 30000;

let lab;
before(async () => (lab = await open()));
after(() => lab.close());

const dialog = (page) => page.getByRole("dialog", { name: "Which learning rate?" });
const field = (page, name) => dialog(page).getByRole("textbox", { name, exact: true });
const find = (page) => page.getByRole("button", { name: "Find LR" });
const ended = (page, from) => until(page, (event) => event.event === "rate_test" && event.ended, { from, seconds: 90 });
const rules = ({ figure }) => figure.marks.filter((mark) => mark.rule).map((mark) => mark.rule);

async function begin(link = LINK, options) {
  const page = await visit(lab, link, options);
  await ready(page, "cpu");
  await until(page, (event) => event.event === "configured");
  return page;
}

test("the figure has its marks, and the rate it suggests becomes the run's", async () => {
  const page = await begin();
  // By keyboard, as any button.
  await find(page).focus();
  await page.keyboard.press("Enter");
  const found = await ended(page, 0);
  await dialog(page).locator('[data-figure="find-lr"] canvas').waitFor();
  const labels = rules(found).map(({ label }) => label);
  for (const label of ["steepest descent", "minimum / 10", "schedule now 0.1", "2/λ1", "diverged"]) {
    assert.ok(labels.some((known) => known.startsWith(label)), `${label} is not among ${labels}`);
  }
  const at = (label) => rules(found).find((rule) => rule.label.startsWith(label)).at;
  assert.ok(at("steepest descent") < at("2/λ1") && at("2/λ1") < at("diverged"), JSON.stringify(rules(found)));
  const [{ line: raw }] = found.figure.marks;
  assert.ok(raw.points.length > 30 && raw.points.length < 100, `${raw.points.length} updates`);
  await shot(page, "find-lr-desktop-light");

  // Other bounds.
  const from = page.events.length;
  await field(page, "from").fill("2");
  await field(page, "to").fill("1");
  await page.keyboard.press("Tab");
  await dialog(page).getByRole("alert").waitFor();
  assert.ok(await dialog(page).getByRole("button", { name: "Test again" }).isDisabled());
  await field(page, "from").fill("1e-3");
  await field(page, "to").fill("100");
  await page.keyboard.press("Tab");
  await dialog(page).getByRole("button", { name: "Test again" }).click();
  const again = await ended(page, from);
  assert.deepEqual(again.figure.x.range, [1e-3, 100]);

  const { rate } = again.suggestions.find(({ rule }) => rule === "steepest descent");
  await dialog(page).getByRole("button", { name: "steepest descent" }).click();
  await dialog(page).waitFor({ state: "detached" });
  const peak = Number(await page.locator("[data-path='schedule.peak'] input[type=text]").inputValue());
  assert.ok(Math.abs(peak / rate - 1) < 0.01, `${peak} for ${rate}`);
  await page.getByRole("button", { name: "Run", exact: true }).click();
  await state(page, "done", 120);
  const run = page.events.findLast((event) => event.event === "configured").run;
  const last = page.events.findLast((event) => event.event === "metrics" && event.run === run);
  assert.ok(Math.abs(last.lr.at(-1) / peak - 1) < 1e-6, `trained at ${last.lr.at(-1)}`);
  assert.deepEqual(page.faults, []);
  await page.context().close();
});

test("a run that was tested has the numbers of one that was not, and a rate used in mid-run is an edit", async () => {
  const plain = await begin();
  await plain.getByRole("button", { name: "Run", exact: true }).click();
  await state(plain, "done", 120);
  const expected = losses(plain);
  assert.equal(expected.length, STEPS);
  await plain.context().close();

  const page = await begin();
  await find(page).click();
  await ended(page, 0);
  await page.keyboard.press("Escape");
  await dialog(page).waitFor({ state: "detached" });
  // Held back: it must not be over before the test begins.
  const pace = page.getByRole("combobox", { name: "Pace" });
  await pace.selectOption("10×");
  await page.getByRole("button", { name: "Run", exact: true }).click();
  await until(page, (event) => event.event === "metrics" && event.first_step > 20);
  let from = page.events.length;
  await find(page).click();
  await ended(page, from);
  // It has gone on by itself.
  await until(page, (event) => event.event === "state" && event.state === "running", { from });
  await page.keyboard.press("Escape");
  await pace.selectOption("max");
  await state(page, "done", 120);
  assert.deepEqual(losses(page), expected);

  // Closing the dialog stops a test, and so does its button.
  await page.getByRole("slider", { name: "Rewind" }).fill("500");
  await state(page, "paused");
  const slowly = async (stop) => {
    from = page.events.length;
    await dialog(page).getByRole("button", { name: "Test again" }).click();
    await until(page, (event) => event.event === "rate_test" && event.fraction > 0, { from });
    await stop();
    const { fraction, suggestions } = await ended(page, from);
    assert.ok(fraction < 1 && suggestions.length === 0, `${fraction} of the updates done`);
    assert.equal(await transport(page).getAttribute("data-step"), "500");
  };
  await find(page).click();
  await dialog(page).getByRole("button", { name: "Test again" }).waitFor();
  await field(page, "updates").fill("10000");
  await page.keyboard.press("Tab");
  await slowly(() => dialog(page).getByRole("button", { name: "Cancel" }).click());
  await slowly(() => page.keyboard.press("Escape"));
  await dialog(page).waitFor({ state: "detached" });

  await find(page).click();
  await dialog(page).getByRole("button", { name: "Cancel" }).click();
  await field(page, "updates").fill("100");
  await page.keyboard.press("Tab");
  from = page.events.length;
  await dialog(page).getByRole("button", { name: "Test again" }).click();
  const found = await ended(page, from);
  await dialog(page).getByRole("button", { name: "minimum / 10" }).click();
  const { edit } = await until(page, (event) => event.event === "edited", { from });
  assert.deepEqual([edit.step, edit.path], [500, "schedule.peak"]);
  const { rate } = found.suggestions.find(({ rule }) => rule === "minimum / 10");
  assert.ok(Math.abs(edit.value / rate - 1) < 0.01, `${edit.value} for ${rate}`);
  assert.deepEqual(page.faults, []);
  await page.context().close();
});

test("on a phone it is in the recipe's sheet", async () => {
  const page = await begin(LINK, { viewport: "phone", scheme: "dark" });
  await page.getByRole("button", { name: "Recipe" }).click();
  await find(page).click();
  await ended(page, 0);
  await dialog(page).getByRole("button", { name: "steepest descent" }).waitFor();
  const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
  assert.ok(wide <= 0, `the page is ${wide} px too wide`);
  await shot(page, "find-lr-phone-dark");
  assert.deepEqual(page.faults, []);
  await page.context().close();
});
