// A sweep as a person makes one: it fills, is cancelled, goes on where it was after a reload; cells open as runs.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { after, before, test } from "node:test";
import { contextWithWorkers, engines, losses, open, ready, state, transport, until, visit } from "./harness.mjs";

let lab;
// On the CPU, on which a run has the same bits wherever it is trained.
before(async () => (lab = await open({ webgpu: false })));
after(() => lab.close());

const LINK = "#sweep?preset=tanh-mlp&steps=4000&x=schedule.peak:0.25..16:3&y=batch.size:8..128:3&target=0.2&v=1";

const grid = (page) => page.getByRole("grid");
const finished = async (page) => Number(await page.getByRole("main").getAttribute("data-done"));
const press = (page, name) => page.getByRole("button", { name, exact: true }).click();
const idle = (page) => page.locator("main[data-state=idle]").waitFor({ timeout: 60_000 });
const trained = (event) => event.event === "sweep_trial" && event.outcome;

test("a sweep fills, is cancelled, and goes on after a reload; its cells are runs", async () => {
  // Three workers, whatever the machine has.
  const context = await lab.browser.newContext({ serviceWorkers: "block" });
  await context.addInitScript(() => Object.defineProperty(navigator, "hardwareConcurrency", { value: 4 }));
  const page = await visit(lab, LINK, { context });
  await ready(page);
  await grid(page).waitFor();
  assert.equal(await grid(page).getByRole("gridcell").count(), 9);
  const corner = grid(page).getByRole("link").nth(6);
  assert.equal(await corner.getAttribute("aria-label"), "learning rate 0.25, batch size 8: no result yet");
  assert.equal(await finished(page), 0);

  await press(page, "Run");
  await until(page, trained);
  await press(page, "Cancel");
  await idle(page);
  const first = await finished(page);
  assert.ok(first > 0 && first < 9, `${first} of 9 were done before the sweep could be cancelled`);

  // What is kept is written behind the page's back.
  await page.waitForTimeout(500);
  const seen = page.events.length;
  await page.reload();
  await page.getByRole("button", { name: "Resume", exact: true }).waitFor();
  assert.equal(await finished(page), first);
  await press(page, "Resume");
  await page.getByRole("button", { name: "Run again", exact: true }).waitFor({ timeout: 120_000 });
  assert.equal(await finished(page), 9);
  assert.equal(page.events.slice(seen).filter(trained).length, 9 - first, "a finished cell was trained again");

  // The map tells what the trials came to; a rate of 16 does not train.
  const outcome = page.events.filter(trained).find((event) => event.trial === 0).outcome;
  // It is drawn where it can be seen.
  await grid(page).evaluate((map) => map.scrollIntoView({ block: "center" }));
  const told = grid(page).getByRole("link", { name: /^learning rate 0.25, batch size 8: final loss/ });
  await told.waitFor();
  const shown = Number((await told.getAttribute("aria-label")).split(" ").at(-1).replace("−", "-"));
  assert.ok(Math.abs(shown - outcome.loss) <= 0.01 * outcome.loss, `${shown} for ${outcome.loss}`);
  await page.locator("[data-path='sweep/quantity'] select").selectOption("divergence");
  await grid(page).getByRole("link", { name: "learning rate 0.25, batch size 8: divergence ∞" }).waitFor();
  assert.equal(await grid(page).getByRole("link", { name: /learning rate 16, .*divergence \d/ }).count(), 3);

  const [download] = await Promise.all([page.waitForEvent("download"), press(page, "Export CSV")]);
  const rows = (await readFile(await download.path(), "utf8")).trim().split("\n");
  assert.equal(rows.length, 10);
  assert.ok(rows[0].startsWith("schedule.peak,batch.size,seed,loss,"));
  const row = rows.find((row) => row.startsWith("0.25,8,")).split(",");
  assert.equal(Number(row[3]), outcome.loss);

  // By keyboard from the top left cell to the one below, then into its run.
  await grid(page).getByRole("link").first().focus();
  await page.keyboard.press("ArrowDown");
  await page.keyboard.press("ArrowDown");
  await page.keyboard.press("Enter");
  await transport(page).waitFor();
  assert.match(page.url(), /#lab\?preset=tanh-mlp&schedule\.peak=0\.25&batch\.size=8&steps=16000/);
  const before = page.events.length;
  await press(page, "Run");
  await state(page, "done", 120);
  assert.ok(page.events.length > before);
  const tail = losses(page).slice(-1600).map(Math.fround);
  const mean = tail.reduce((sum, loss) => sum + loss, 0) / tail.length;
  assert.ok(Math.abs(mean - outcome.loss) < 1e-9, `the run ends at ${mean}, its cell at ${outcome.loss}`);
  assert.deepEqual(page.faults, []);
  await page.context().close();
});

test("a cell whose worker ends is trained by another; one whose lock comes late is not taken for dead", async () => {
  const late = `{
    const request = navigator.locks.request.bind(navigator.locks);
    navigator.locks.request = async (...call) => (await new Promise((go) => setTimeout(go, 1000)), request(...call));
  }`;
  const context = await contextWithWorkers(lab, late);
  const page = await visit(lab, LINK, { context });
  await ready(page);
  const own = engines(page)[0];
  await press(page, "Run");
  await until(page, trained);
  assert.equal(await page.getByRole("alert").count(), 0, "a living worker was taken for dead");
  await engines(page).find((worker) => worker !== own).evaluate(() => self.close());
  await page.getByRole("alert").filter({ hasText: /Begun anew at .*ended without a word/ }).waitFor();
  await page.getByRole("button", { name: "Run again", exact: true }).waitFor({ timeout: 120_000 });
  assert.equal(await finished(page), 9);
  // What has come of it is not lost by one press.
  await press(page, "Start over");
  await page.locator("main[data-done='0']").waitFor();
  await press(page, "Undo");
  await page.locator("main[data-done='9']").waitFor();
  await page.context().close();
});

test("a sweep is made from the lab's recipe and changed by its controls", async () => {
  const page = await visit(lab, "#lab?preset=mlp&v=1");
  await ready(page);
  await page.getByRole("link", { name: "Sweep this recipe" }).click();
  await grid(page).waitFor();
  assert.match(page.url(), /#sweep\?preset=mlp&x=schedule\.peak:/);
  assert.equal(await grid(page).getByRole("gridcell").count(), 25);

  await page.locator("[data-path='sweep/x/field'] select").selectOption("model.activation");
  await page.waitForFunction(() => location.hash.includes("x=model.activation:"));
  const values = page.locator("[data-path='sweep/y'] input");
  await values.fill("8,many");
  await values.press("Enter");
  await page.getByRole("alert").filter({ hasText: "many" }).waitFor();
  await values.fill("8,16");
  await values.press("Enter");
  await page.waitForFunction(() => location.hash.includes("y=batch.size:8,16"));
  assert.equal(await page.getByRole("alert").count(), 0);
  const columns = await grid(page).getByRole("row").first().getByRole("gridcell").count();
  assert.equal(await grid(page).getByRole("gridcell").count(), 2 * columns);
  assert.deepEqual(page.faults, []);
  await page.context().close();
});

test("a link that is wrong in parts says so and shows the rest", async () => {
  const page = await visit(lab, "#sweep?x=schedule.peak:0..1:4&y=batch.size:4,8&target=soon&v=1");
  await ready(page);
  const issues = page.locator(".link-issues");
  await issues.filter({ hasText: "above 0" }).filter({ hasText: "must be a number" }).waitFor();
  await grid(page).waitFor();
  assert.equal(await grid(page).getByRole("row").count(), 2);
  await page.context().close();
});
