// The page for people who do not see it, or use keys alone: axe finds nothing on any page in either theme, and what axe
// cannot judge (names, values, order and keys) is as it should be.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { after, before, test } from "node:test";
import { open, ready, until, visit } from "./harness.mjs";

const AXE = await readFile(new URL("../node_modules/axe-core/axe.min.js", import.meta.url), "utf8");
const PAGES = {
  start: ["", ".start-card"],
  lab: ["#lab", ".recipe"],
  studies: ["#studies", ".card"],
  "a study": ["#study/15", "[data-study] .panel"],
  sweep: ["#sweep", ".cells a"],
  "the continual lab": ["#continual", ".arm"],
  "few-shot": ["#fewshot", ".class-row"],
  "own classes": ["#fewshot?preset=own&v=2", ".own-class, .question"],
  lessons: ["#lesson", ".start-card"],
  "a lesson": ["#lesson?name=attention", ".tutor"],
  bench: ["#bench", "main"],
};

let lab;
before(async () => (lab = await open()));
after(() => lab.close());

/** What axe finds wrong with the page as it stands, in words. */
async function violations(page) {
  await page.evaluate(AXE);
  const { violations } = await page.evaluate(() => window.axe.run(document, { resultTypes: ["violations"] }));
  return violations.flatMap(({ id, nodes }) =>
    nodes.map(({ target, any, all }) => `${id}: ${target.join(" ")} ${[...any, ...all].map((one) => one.message).join("; ")}`),
  );
}

for (const scheme of ["light", "dark"]) {
  test(`axe finds nothing on any page, ${scheme}`, async () => {
    const page = await visit(lab, "", { scheme });
    await until(page, (event) => event.event === "configured");
    for (const [what, [hash, there]] of Object.entries(PAGES)) {
      await page.evaluate((hash) => (location.hash = hash), hash);
      await page.locator(there).first().waitFor();
      await page.evaluate(() => document.querySelectorAll("details").forEach((details) => (details.open = true)));
      assert.deepEqual(await violations(page), [], what);
      const ids = await page.locator(".field [id]").evaluateAll((all) => all.map(({ id }) => id));
      assert.equal(new Set(ids).size, ids.length, `${what}: a label may be another control's`);
    }
    // A menu, and the dialogs.
    await page.evaluate(() => (location.hash = "#lab"));
    await page.getByRole("button", { name: "Figure menu" }).first().click();
    await page.getByRole("menu").waitFor();
    assert.deepEqual(await violations(page), [], "a menu");
    await page.keyboard.press("Escape");
    for (const button of [page.getByRole("button", { name: "Help" }), page.locator("[data-backend]")]) {
      await button.click();
      await page.getByRole("dialog").waitFor();
      assert.deepEqual(await violations(page), [], "a dialog");
      await page.keyboard.press("Escape");
    }
    await page.context().close();
  });
}

test("keys reach Run early, and what has the focus says what it is", async () => {
  const page = await visit(lab, "#lab?preset=mlp&v=1");
  await ready(page);
  await page.locator("body").focus();
  await page.keyboard.press("Tab");
  const focused = () => page.evaluate(() => document.activeElement.getAttribute("aria-label") ?? document.activeElement.textContent);
  assert.equal(await focused(), "Skip to the page");
  await page.keyboard.press("Enter");
  await page.keyboard.press("Tab");
  assert.equal(await focused(), "Run");

  // Choices: each by its own name in a named group, one tab stop, chosen by arrows.
  const group = page.getByRole("radiogroup", { name: "norm" });
  const names = await group.getByRole("radio").evaluateAll((all) => all.map((one) => one.textContent.trim()));
  for (const name of names) assert.equal(await group.getByRole("radio", { name, exact: true }).count(), 1, name);
  assert.equal(await group.locator('[tabindex="0"]').count(), 1);
  await group.locator('[tabindex="0"]').focus();
  await page.keyboard.press("ArrowRight");
  await group.locator('[aria-checked="true"]', { hasText: names[1] }).waitFor();

  // Sliders: values, not places.
  const slider = page.locator('[data-path="batch.size"] input[type=range]');
  assert.match(await slider.getAttribute("aria-valuetext"), /^\d+ examples$/);
  assert.notEqual(parseInt(await slider.getAttribute("aria-valuetext")), Number(await slider.inputValue()));

  // Handles are large enough to hit.
  for (const handle of await page.locator(".handle:visible").all()) {
    const { width, height } = await handle.boundingBox();
    assert.ok(width >= 24 && height >= 24, `${width} x ${height}`);
    assert.match(await handle.getAttribute("aria-valuetext"), /\d/);
  }
  await page.context().close();
});

test("a menu follows the arrow keys and gives the focus back", async () => {
  const page = await visit(lab, "#lab?preset=mlp&v=1");
  await ready(page);
  const button = page.locator('[data-figure="loss"]').getByRole("button", { name: "Figure menu" });
  await button.focus();
  await page.keyboard.press("Enter");
  const items = await page.getByRole("menuitem").allTextContents();
  const focused = () => page.evaluate(() => document.activeElement.textContent);
  assert.equal(await focused(), items[0]);
  await page.keyboard.press("ArrowDown");
  assert.equal(await focused(), items[1]);
  await page.keyboard.press("End");
  assert.equal(await focused(), items.at(-1));
  await page.keyboard.press("ArrowDown");
  assert.equal(await focused(), items[0]);
  await page.keyboard.press("Escape");
  await page.getByRole("menu").waitFor({ state: "detached" });
  assert.ok(await button.evaluate((button) => button === document.activeElement));
  // Chosen from, it gives the focus back as well.
  await page.keyboard.press("Enter");
  await page.getByRole("menuitem", { name: "Logarithmic x axis" }).press("Enter");
  assert.ok(await button.evaluate((button) => button === document.activeElement));
  await page.context().close();
});

test("a dialog gives the focus back, however it is closed", async () => {
  const page = await visit(lab, "#lab?preset=mlp&v=1");
  await ready(page);
  const button = page.getByRole("button", { name: "Help" });
  const dialog = page.locator("dialog");
  for (const close of [() => page.keyboard.press("Escape"), () => dialog.getByRole("button", { name: "Close", exact: true }).press("Enter")]) {
    await button.press("Enter");
    await dialog.waitFor();
    await close();
    await dialog.waitFor({ state: "detached" });
    assert.ok(await button.evaluate((button) => button === document.activeElement));
  }
  assert.deepEqual(page.faults, []);
  await page.context().close();
});

test("on a touch screen handles are 44 pixels wide", async () => {
  const page = await visit(lab, "#lab?preset=mlp&v=1", { viewport: "phone" });
  await ready(page);
  await page.locator(".handle:visible").first().waitFor();
  for (const handle of await page.locator(".handle:visible").all()) {
    const { width, height } = await handle.boundingBox();
    assert.ok(width >= 44 && height >= 44, `${width} x ${height}`);
  }
  await page.context().close();
});
