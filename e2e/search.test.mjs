// Searching with the words that people bring: of the recipe's controls and of the studies.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { open, visit } from "./harness.mjs";

let lab;
before(async () => (lab = await open({ webgpu: false })));
after(() => lab.close());

test("the recipe's controls are found by other words than theirs", async () => {
  const page = await visit(lab, "#lab?preset=mlp&v=2");
  const search = page.getByRole("searchbox", { name: "Search controls" });
  const found = () => page.locator("[data-path]").evaluateAll((all) => all.filter((one) => one.checkVisibility()).map((one) => one.dataset.path));
  for (const [typed, path] of [
    ["epochs", "steps"],
    ["lr", "schedule.peak"],
    ["Neurons", "model.hidden"],
    ["regularisation", "optimizer.weight_decay"],
    ["regularization", "model.dropout"],
    ["optimiser", "optimizer"],
    ["size batch", "batch.size"],
    ["gradient clipping", "optimizer.clip"],
  ]) {
    await search.fill(typed);
    await page.locator(`[data-path="${path}"]`).waitFor();
    const paths = await found();
    assert.ok(paths.includes(path) && paths.length < 25, `${typed}: ${paths}`);
  }
  await search.fill("no such thing");
  await page.waitForFunction(() => [...document.querySelectorAll("[data-path]")].every((one) => !one.checkVisibility()));
  assert.deepEqual(page.faults, []);
  await page.context().close();
});

test("so are the studies", async () => {
  const page = await visit(lab, "#studies");
  await page.locator("[data-study]").first().waitFor();
  const all = await page.locator("[data-study]").count();
  for (const typed of ["lr", "regularisation", "optimiser", "catastrophic forgetting"]) {
    await page.getByRole("searchbox", { name: "Search studies" }).fill(typed);
    await page.waitForFunction((all) => document.querySelectorAll("[data-study]").length < all, all);
    assert.ok((await page.locator("[data-study]").count()) > 0, typed);
  }
  assert.deepEqual(page.faults, []);
  await page.context().close();
});
