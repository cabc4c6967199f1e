// The continual lab as a person uses it: two strategies side by side, back to before a border, another future from
// there, and a link that shows the same.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { after, before, test } from "node:test";
import { choose, open, ready, share, state, transport, visit } from "./harness.mjs";

let lab;
// On the CPU, on which a session has the same bits wherever it is learned.
before(async () => (lab = await open({ webgpu: false })));
after(() => lab.close());

const LINK = "#continual?tasks=3&examples=300&tested=60&readings=4&window=4&hidden=32&strategies=fine-tuning,replay:memory=200";

const press = (page, name) => page.getByRole("button", { name, exact: true }).click();
const figure = (page, id) => page.locator(`[data-figure="${id}"]`);
const arms = (page) => page.locator("[data-arm]");

/** The accuracy matrix of an arm as the worker has told it: readings of all tasks at the borders, later ones in place of earlier. */
function matrix(page, arm) {
  const of = (kind) => page.events.filter((one) => one.event === "continual" && one[kind]).map((one) => one[kind]);
  const { lab: number, course } = of("configured").at(-1);
  const known = new Map();
  for (const told of of("readings").filter((one) => one.lab === number && one.arm === arm)) {
    for (const { update, accuracy } of told.readings) {
      for (const later of [...known.keys()]) if (later > update) known.delete(later);
      known.set(update, accuracy);
    }
  }
  return course.borders.map((border) => known.get(border));
}

test("fine-tuning and replay side by side, back to before a border, EWC from there, and a link to it", async () => {
  const page = await visit(lab, LINK);
  await ready(page);
  assert.equal(await arms(page).count(), 2);
  await page.getByText("0 / 90").waitFor();
  await press(page, "Run");
  await state(page, "done", 120);
  const length = Number(await transport(page).getAttribute("data-step"));
  assert.equal(length, 90);
  const [plain, replay] = [matrix(page, 0), matrix(page, 1)];
  for (const rows of [plain, replay]) {
    assert.equal(rows.length, 3);
    assert.ok(rows.every((row) => row.length === 3));
  }
  const mean = (row) => row.reduce((sum, share) => sum + share, 0) / row.length;
  assert.ok(mean(replay[2]) > mean(plain[2]) + 0.1, `${mean(replay[2])} against ${mean(plain[2])}`);
  // What was told is shown: each map says its last row.
  for (const [arm, rows] of [plain, replay].entries()) {
    const alt = await figure(page, `matrix-${arm}`).getAttribute("aria-label");
    const row = rows[2].map((share) => `${(100 * Math.fround(share)).toFixed(1)}%`).join(", ");
    assert.ok(alt.endsWith(`after task 3 on each task so far: ${row}`), `${alt} for ${row}`);
  }
  assert.equal(await figure(page, "numbers").getByRole("row").count(), 3);

  const saved = page.waitForEvent("download");
  await choose(page, page.getByRole("button", { name: "Save", exact: true }), "Accuracy matrices as CSV");
  const rows = (await readFile(await (await saved).path(), "utf8")).trim().split(/\r?\n/);
  assert.equal(rows.length, 1 + 2 * 3 * 3);

  // Back to before the third task; both futures share their past.
  await press(page, "Back to before task 3");
  await page.locator('[role="toolbar"][data-state="paused"][data-step="60"]').waitFor({ timeout: 60_000 });
  await arms(page).first().getByRole("combobox", { name: "Another future from update 60" }).selectOption("ewc");
  await page.waitForFunction(() => document.querySelectorAll("[data-arm]").length === 3);
  assert.match(decodeURIComponent(page.url()), /strategies=fine-tuning,replay:memory=200,fine-tuning\/60\/ewc/);
  await press(page, "Go on");
  await state(page, "done", 120);
  const forked = matrix(page, 2);
  assert.deepEqual(forked.slice(0, 2), plain.slice(0, 2));
  assert.deepEqual(matrix(page, 0), plain);
  assert.deepEqual(matrix(page, 1), replay);

  const link = await share(page);
  const other = await visit(lab, link);
  await ready(other);
  await press(other, "Run");
  await state(other, "done", 180);
  assert.deepEqual([0, 1, 2].map((arm) => matrix(other, arm)), [plain, replay, forked]);
  assert.deepEqual([page.faults, other.faults], [[], []]);
  await other.context().close();
  await page.context().close();
});

test("controls and strategies change the link, and Back undoes it", async () => {
  const page = await visit(lab, "#continual");
  await ready(page);
  assert.equal(await arms(page).count(), 4);
  await page.getByRole("combobox", { name: "Add a strategy" }).selectOption("si");
  await page.waitForFunction(() => location.hash.includes(",si"));
  assert.equal(await arms(page).count(), 5);
  await press(page, "Remove EWC");
  await page.waitForFunction(() => !location.hash.includes("ewc"));
  await page.waitForTimeout(1300);
  const rate = page.locator('[data-path="rate"] input').first();
  await rate.fill("0.05");
  await rate.press("Enter");
  await page.waitForFunction(() => location.hash.includes("rate=0.05"));
  await page.goBack();
  await page.waitForFunction(() => !location.hash.includes("rate=0.05"));
  assert.equal(await rate.inputValue(), "0.1");
  await page.getByRole("combobox", { name: "Preset", exact: true }).selectOption("watch-it-forget");
  await page.waitForFunction(() => /^#continual\?preset=watch-it-forget&v=\d+$/.test(location.hash));
  assert.equal(await arms(page).count(), 2);
  await page.locator('[data-path="arm/1/memory"]').waitFor({ state: "attached" });
  assert.deepEqual(page.faults, []);
  await page.context().close();
});

test("a link that is wrong in parts says so and shows the rest; what it hides is not there", async () => {
  const page = await visit(lab, "#continual?strategies=replay,magic&tasks=11&rate=fast&hide=networks,order");
  await ready(page);
  const issues = page.locator(".link-issues");
  await issues.filter({ hasText: "no strategy “magic”" }).filter({ hasText: "11 tasks" }).filter({ hasText: "“rate” must be a number" }).waitFor();
  assert.equal(await arms(page).count(), 1);
  assert.equal(await page.locator('[data-path="tasks"] input').first().inputValue(), "10");
  assert.equal(await page.locator('[data-path="network"]:visible, [data-path="order"]').count(), 0);
  assert.equal(await page.locator('[data-path="stream"]').count(), 1);
  await page.context().close();
});

test("a CCT learns letters, and curvature is measured where that is asked for", async () => {
  const link = "#continual?stream=split-glyphs&tasks=2&examples=32&tested=8&network=cct&hidden=8&batch=8&readings=1&window=0";
  const page = await visit(lab, `${link}&curvature=4&strategies=fine-tuning`);
  await ready(page);
  assert.equal(await page.locator('[data-path="curvature"] input').first().inputValue(), "4");
  await press(page, "Run");
  await state(page, "done", 180);
  assert.match(await figure(page, "curvature").getAttribute("aria-label"), /on 4 training examples of the task left/);
  assert.match(await figure(page, "drift").getAttribute("aria-label"), /features/);
  await page.getByRole("combobox", { name: "Preset", exact: true }).selectOption("watch-it-forget");
  await page.waitForFunction(() => document.querySelectorAll('[data-figure="curvature"]').length === 0);
  assert.deepEqual(page.faults, []);
  await page.context().close();
});
