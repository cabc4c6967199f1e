// What a teacher hands out and what a student meets first: a shared link with a task, within another page; words that are
// explained; a run slow enough to watch; a drawing that the network tells apart.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { after, before, describe, test } from "node:test";
import { VIEWPORTS, open, ready, share, state, transport, until, visit } from "./harness.mjs";

let lab;
before(async () => (lab = await open({ webgpu: false })));
after(() => lab.close());

const steps = (page) => transport(page).getAttribute("data-step").then(Number);

describe("sharing", () => {
  test("what is ticked, the task and the code are in the link, and whoever opens it sees that", async () => {
    const page = await visit(lab, "#lab?preset=mlp&v=2");
    await ready(page);
    await page.getByRole("button", { name: "Share", exact: true }).click();
    const dialog = page.getByRole("dialog", { name: "Share" });
    const link = dialog.getByRole("textbox", { name: "Link" });
    const code = () => dialog.locator(".code path").getAttribute("d");
    await dialog.locator(".code path").waitFor();
    const first = await code();
    for (const label of ["Curvature", "Runs", "Model"]) await dialog.getByLabel(label, { exact: true }).click();
    await dialog.getByText("Single controls").click();
    await dialog.getByLabel("weight decay", { exact: true }).click();
    await dialog.getByLabel("What they are asked to do").fill("Find the largest rate that learns: λ₁ < 2/η?");
    const hash = new URL(await link.inputValue()).hash;
    assert.match(hash, /hide=panel\.curvature,panel\.runs,model,optimizer\.weight_decay&task=/);
    await page.waitForFunction((first) => document.querySelector(".code path").getAttribute("d") !== first, first);
    // What is ticked for others changes nothing here.
    assert.ok(!new URL(page.url()).hash.includes("hide="));
    const other = await visit(lab, hash);
    await ready(other);
    await other.getByText("Find the largest rate that learns: λ₁ < 2/η?").waitFor();
    const shown = (path) => other.locator(`[data-path="${path}"]`).count();
    assert.deepEqual(await Promise.all(["model.hidden", "optimizer.weight_decay", "schedule.peak"].map(shown)), [0, 0, 1]);
    assert.equal(await other.locator(".curvature").count(), 0);
    assert.equal(await share(other), hash);
    assert.deepEqual([...page.faults, ...other.faults], []);
    await page.context().close();
    await other.context().close();
  });

  test("the task and what is hidden are still there after a look at another page", async () => {
    const page = await visit(lab, "#lab?preset=mlp&hide=panel.curvature&task=Find%20it.&v=2");
    await ready(page);
    const [task, curvature] = [page.locator(".task"), page.locator(".curvature")];
    await task.getByText("Find it.").waitFor();
    const pages = page.getByRole("navigation", { name: "Pages" });
    for (const other of ["Lessons", "Bench"]) {
      await pages.getByRole("link", { name: other, exact: true }).click();
      await task.waitFor({ state: "detached" });
      await pages.getByRole("link", { name: "Lab", exact: true }).click();
      await task.getByText("Find it.").waitFor();
      assert.equal(await curvature.count(), 0);
    }
    assert.deepEqual(page.faults, []);
    await page.context().close();
  });

  test("it works within a page of another origin, with three controls and a task", async () => {
    const page = await visit(lab, "#lab?preset=mlp&v=2");
    await ready(page);
    await page.context().grantPermissions(["clipboard-read", "clipboard-write"]);
    await page.getByRole("button", { name: "Share", exact: true }).click();
    const dialog = page.getByRole("dialog", { name: "Share" });
    for (const label of ["Data", "Model", "Objective", "Augmentation", "Probes", "Chance", "Optimizer"]) {
      await dialog.locator("fieldset").last().getByLabel(label, { exact: true }).click();
    }
    await dialog.getByText("Single controls").click();
    const left = dialog.locator("details").getByRole("checkbox");
    const names = await left.evaluateAll((boxes) => boxes.map((box) => box.parentElement.textContent));
    for (const name of names.filter((name) => !["learning rate", "batch size", "steps"].includes(name))) {
      await dialog.locator("details").getByLabel(name, { exact: true }).first().click();
    }
    await dialog.getByLabel("What they are asked to do").fill("Make it diverge.");
    await dialog.getByRole("button", { name: "Copy for another page" }).click();
    await page.getByText("Copied: put it into the text of your page.").waitFor();
    const snippet = await page.evaluate(() => navigator.clipboard.readText());
    await page.context().close();

    const html = `<!doctype html><title>A school's page</title><h1>Lesson 3</h1>${snippet}`;
    const server = createServer((_, answer) => answer.setHeader("content-type", "text/html").end(html));
    await new Promise((done) => server.listen(0, "127.0.0.1", done));
    const context = await lab.browser.newContext({ viewport: VIEWPORTS.desktop, serviceWorkers: "block" });
    const school = await context.newPage();
    const faults = [];
    school.on("pageerror", (error) => faults.push(error.message));
    school.on("console", (message) => message.type() === "error" && faults.push(message.text()));
    await school.goto(`http://localhost:${server.address().port}/`);
    const inside = school.frameLocator("iframe");
    await inside.getByText("Make it diverge.").waitFor();
    assert.equal(await inside.getByRole("navigation", { name: "Pages" }).count(), 0);
    await inside.locator("[data-path]").first().waitFor();
    assert.equal(await inside.locator("[data-path]").count(), 3);
    await inside.getByRole("button", { name: "Run", exact: true }).click();
    await inside.locator('[aria-label="Transport"][data-state=done]').waitFor();
    const frame = await school.locator("iframe").boundingBox();
    assert.ok(frame.width > 1300 && frame.height >= 640, JSON.stringify(frame));
    assert.deepEqual(faults, []);
    await context.close();
    await new Promise((done) => server.close(done));
  });
});

describe("words", () => {
  test("a term says what it means where it is pointed at, and the help has them all", async () => {
    const page = await visit(lab, "#study/1");
    const term = page.locator("dfn", { hasText: "Hessian" }).first();
    await term.hover();
    const note = page.getByRole("tooltip");
    await note.waitFor();
    assert.match(await note.innerText(), /second derivatives/);
    await page.mouse.move(2, 2);
    await note.waitFor({ state: "hidden" });
    await page.keyboard.press("?");
    await page.getByText("Words of the field").click();
    await page.getByRole("dialog").getByText("Unit of a loss that is taken with the natural logarithm").waitFor();
    assert.deepEqual(page.faults, []);
    await page.context().close();
  });

  test("on a phone a tap shows it, within the screen", async () => {
    const page = await visit(lab, "#study/1", { viewport: "phone" });
    await page.locator("dfn", { hasText: "Hessian" }).first().tap();
    const box = await page.getByRole("tooltip").boundingBox();
    assert.ok(box.x >= 0 && box.x + box.width <= 390, JSON.stringify(box));
    await page.context().close();
  });
});

test("the gallery shows what studies came to before anything has run here", async () => {
  const known = JSON.parse(readFileSync(new URL("../STUDIES.json", import.meta.url), "utf8")).map(({ id }) => `${id}`);
  const page = await visit(lab, "");
  await page.getByRole("link", { name: "Studies" }).first().waitFor();
  const pictures = () => page.asked.filter((url) => /\/references-/.test(url)).length;
  assert.equal(pictures(), 0, "the start page fetches what only the gallery shows");
  await page.evaluate(() => (location.hash = "#studies"));
  const cards = page.locator("a.card");
  await cards.first().waitFor();
  assert.equal(pictures(), 1);
  assert.ok(known.length >= 29);
  for (const card of await cards.all()) {
    const here = known.includes(await card.getAttribute("data-study"));
    assert.match(await card.innerText(), here ? /held in our run|did not in our run|not tested in ours/ : /not run here yet/);
    if (!here) continue;
    await card.scrollIntoViewIfNeeded();
    await card.locator("canvas").waitFor();
  }
  assert.deepEqual(page.faults, []);
  await page.context().close();
});

test("whoever has waited for a study's answer sees it", async () => {
  const page = await visit(lab, "#study/3", { viewport: "phone" });
  const run = page.getByRole("button", { name: "Run", exact: true });
  await run.scrollIntoViewIfNeeded();
  await page.getByLabel("Seeds").fill("1");
  await run.click();
  await page.locator("[data-verdict]").waitFor({ timeout: 120_000 });
  await page.waitForTimeout(300);
  const box = await page.locator("[data-verdict] .answer").boundingBox();
  assert.ok(box.y >= 0 && box.y < 844, JSON.stringify(box));
  await page.context().close();
});

test("at 1× an update can be watched, and the pace is no part of the run", async () => {
  const page = await visit(lab, "#lab?preset=mlp&steps=300&probes.look=100&v=2");
  await ready(page);
  const pace = page.getByRole("combobox", { name: "Pace" });
  await pace.selectOption("1×");
  await page.getByRole("button", { name: "Run", exact: true }).click();
  await until(page, (event) => event.event === "look" && event.step >= 3);
  // Three updates a second, each looked at.
  const looked = page.events.filter((event) => event.event === "look").map((event) => event.step);
  assert.deepEqual(looked.slice(0, 3), [1, 2, 3]);
  assert.ok((await steps(page)) < 60);
  assert.ok(!new URL(page.url()).hash.includes("pace"));
  await pace.selectOption("max");
  await state(page, "done");
  assert.deepEqual(page.faults, []);
  await page.context().close();
});

test("a digit that is drawn is told apart, and again while the network learns", async () => {
  const page = await visit(lab, "#lab?preset=mlp&data=mnist&steps=600&probes.curvature=0&v=2");
  await ready(page);
  const panel = page.getByRole("region", { name: "Try it yourself" });
  const pad = panel.getByRole("img", { name: "Draw here" });
  await pad.scrollIntoViewIfNeeded();
  const { x, y, width, height } = await pad.boundingBox();
  const at = (column, row) => [x + width * column, y + height * row];
  // A zero: round about.
  await page.mouse.move(...at(0.7, 0.5));
  await page.mouse.down();
  for (let turn = 0; turn <= 24; turn++) {
    const angle = (turn / 24) * 2 * Math.PI;
    await page.mouse.move(...at(0.5 + 0.2 * Math.cos(angle), 0.5 + 0.32 * Math.sin(angle)));
  }
  await page.mouse.up();
  const figure = panel.locator('[data-figure="own_picture"]');
  await figure.waitFor();
  await page.getByRole("button", { name: "Run", exact: true }).click();
  await state(page, "done");
  const answer = await figure.locator(".now").innerText();
  assert.match(answer, /^0 \((9\d|100)%\)$/);
  const steps = page.events.filter((event) => event.event === "look" && event.figures.some(({ id }) => id === "own_picture"));
  assert.ok(new Set(steps.map((event) => event.step)).size > 2);
  await panel.getByRole("button", { name: "Clear" }).click();
  await figure.waitFor({ state: "detached" });
  // A page that is left at the stroke of a pen.
  await pad.evaluate((pad) => {
    pad.dispatchEvent(new PointerEvent("pointerdown", { bubbles: true, pointerId: 1 }));
    location.hash = "#studies";
  });
  await pad.waitFor({ state: "detached" });
  await page.waitForTimeout(200);
  assert.deepEqual(page.faults, []);
  await page.context().close();
});
