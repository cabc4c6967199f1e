// Runs beside each other: grouped, their seeds merged, named, told apart in a table, deleted and brought back.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, before, test } from "node:test";
import { choose, open, ready, visit } from "./harness.mjs";

const STEPS = 40;
const link = (seed, rate) =>
  `#lab?preset=mlp&batch.size=32&steps=${STEPS}&schedule.peak=${rate}&probes.evaluate=20&probes.look=0&probes.curvature=0&seed=${seed}&v=1`;
const RECIPES = [[1, 0.002], [2, 0.002], [3, 0.002], [1, 0.01]];

let lab;
before(async () => (lab = await open({ webgpu: false })));
after(() => lab.close());

const rows = (page) => page.locator("tr[data-run]");
const current = (page) => page.locator("tr[data-run][aria-selected=true]");
const cell = (row, nth) => row.locator("td").nth(nth).innerText();
const menu = (row) => row.getByRole("button", { name: /^Actions for/ });

async function trained() {
  const page = await visit(lab, link(...RECIPES[0]));
  await ready(page);
  for (const [i, recipe] of RECIPES.entries()) {
    if (i > 0) await page.evaluate((hash) => (location.hash = hash), link(...recipe));
    await page.waitForFunction((count) => document.querySelectorAll("tr[data-run]").length === count, i + 1);
    await page.getByRole("button", { name: "Run", exact: true }).click();
    await current(page).locator("td").nth(4).getByText(String(STEPS), { exact: true }).waitFor();
    await page.waitForFunction(() => document.querySelector("tr[data-run][aria-selected=true] td:nth-child(3)").innerText.includes("%"));
  }
  return page;
}

test("runs are grouped, merged over seeds, deleted and brought back", async () => {
  const page = await trained();
  const heads = await page.locator(".runs thead th").allInnerTexts();
  assert.deepEqual(heads.slice(2, 4), ["test accuracy", "test loss"]);

  // Seeds merged: two groups, the mean and the sample deviation of what their runs came to.
  const group = page.getByLabel("Group runs");
  assert.deepEqual(await group.locator("option").allInnerTexts(), ["not grouped", "recipe, seeds merged", "by learning rate"]);
  await group.selectOption("seeds");
  const groups = page.locator(".runs tr.group");
  assert.equal(await groups.count(), 2);
  const members = async (head) => {
    const all = await page.locator(".runs tbody tr").evaluateAll((all) => all.map((one) => [one.className, one.children[3].innerText]));
    const from = all.findIndex(([kind], i) => kind.includes("group") && all.slice(0, i).filter(([kind]) => kind.includes("group")).length === head);
    const to = all.findIndex(([kind], i) => i > from && kind.includes("group"));
    return all.slice(from + 1, to < 0 ? undefined : to).map(([, loss]) => Number(loss));
  };
  const losses = await members(0);
  assert.equal(losses.length, 3);
  const mean = losses.reduce((sum, loss) => sum + loss, 0) / 3;
  const deviation = Math.sqrt(losses.reduce((sum, loss) => sum + (loss - mean) ** 2, 0) / 2);
  const [shownMean, shownDeviation] = (await cell(groups.first(), 3)).split(" ± ").map(Number);
  assert.ok(Math.abs(shownMean - mean) < 0.01 * mean && Math.abs(shownDeviation - deviation) < 0.1 * deviation + 0.001, `${shownMean} ± ${shownDeviation}`);
  assert.match(await cell(groups.first(), 1), /3 runs$/);
  assert.match(await page.locator("[data-figure=loss] .keys, [data-figure=loss]").first().innerText(), /learning rate 0\.002/);
  await group.selectOption("schedule.peak");
  assert.equal(await groups.count(), 2);
  await group.selectOption("");
  assert.equal(await groups.count(), 0);

  // Deleted, and brought back with its numbers.
  const other = rows(page).nth(1);
  const [name, loss] = [await cell(other, 1), await cell(other, 3)];
  await choose(page, menu(other), "Delete");
  await page.waitForFunction(() => document.querySelectorAll("tr[data-run]").length === 3);
  await page.getByRole("button", { name: "Undo" }).click();
  await page.waitForFunction(() => document.querySelectorAll("tr[data-run]").length === 4);
  assert.deepEqual([await cell(rows(page).nth(1), 1), await cell(rows(page).nth(1), 3)], [name, loss]);
  assert.deepEqual(page.faults, []);
  await page.context().close();
});

test("a run's name and note stay with it, are undone, and stand beside what differs", async () => {
  const page = await trained();
  const first = page.locator("tr[data-run]").last();
  const automatic = (await cell(first, 1)).trim();

  await choose(page, menu(first), "Name and note");
  const dialog = page.getByRole("dialog", { name: "Name and note" });
  assert.equal(await dialog.getByLabel("Name").getAttribute("placeholder"), automatic);
  await dialog.getByLabel("Name").fill("plain <b>");
  await dialog.getByLabel("Note").fill("the one, to beat");
  await dialog.getByRole("button", { name: "Save" }).click();
  assert.deepEqual((await cell(first, 1)).split("\n").map((part) => part.trim()), ["plain <b>", "the one, to beat"]);
  await page.getByRole("button", { name: "Undo" }).click();
  assert.equal((await cell(first, 1)).trim(), automatic);
  await choose(page, menu(first), "Name and note");
  await dialog.getByLabel("Name").fill("plain");
  await dialog.getByLabel("Note").fill("the one, to beat");
  await dialog.getByRole("button", { name: "Save" }).click();

  // What differs: a row a run, a column a control, and what came of it.
  await page.getByRole("button", { name: "What differs" }).click();
  const table = page.locator("[data-figure=differences] table");
  const heads = await table.locator("th").allInnerTexts();
  assert.deepEqual(heads.slice(0, 5), ["run", "learning rate", "seed", "best test loss", "at step"]);
  assert.match(heads[5], /^first at \d/);
  assert.deepEqual(heads.slice(6), ["seconds", "note"]);
  const column = (which) => table.locator(`td:nth-child(${which})`).allInnerTexts();
  assert.equal((await column(1)).length, RECIPES.length);
  assert.deepEqual(await column(3), ["1", "3", "2", "1"]);
  assert.ok((await column(6)).every((step) => /^\d+$/.test(step)), "all have reached the worst of the best losses");

  // In the order of a column, either way; a target of one's own.
  const best = table.getByRole("button", { name: "best test loss" });
  for (const way of [1, -1]) {
    await best.click();
    const losses = (await column(4)).map(Number);
    assert.deepEqual(losses, [...losses].sort((a, b) => way * (a - b)));
  }
  assert.equal(await table.locator("th").nth(3).getAttribute("aria-sort"), "descending");
  await page.getByLabel("Test loss to reach").fill("1e-9");
  await table.getByText("first at 1e-9").waitFor();
  assert.deepEqual(await column(6), ["–", "–", "–", "–"]);

  const [download] = await Promise.all([
    page.waitForEvent("download"),
    choose(page, page.locator("[data-figure=differences]").getByRole("button", { name: "Figure menu" }), "Save numbers as CSV"),
  ]);
  const csv = readFileSync(await download.path(), "utf8").trim().split("\n");
  assert.equal(csv.length, RECIPES.length + 1);
  assert.match(csv[0], /^run,learning rate,seed,best test loss,at step,first at 1e-9,seconds,note$/);
  assert.match(csv.at(-1), /^plain,0\.002,1,.*,"the one, to beat"$/);
  await page.keyboard.press("Escape");

  // On another visit they are still there.
  await page.reload();
  await page.locator("tr[data-run]").getByText("the one, to beat").waitFor();
  assert.equal(await page.locator("tr[data-run]").getByText("plain", { exact: true }).count(), 1);
  assert.deepEqual(page.faults, []);
  await page.context().close();
});
