// The gallery; a study run in small to its verdict, which stays; another one cancelled.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { open, ready, share, slowness, state, transport, until, visit } from "./harness.mjs";

let lab;
before(async () => (lab = await open()));
after(() => lab.close());

const press = (page, name) => page.getByRole("button", { name, exact: true }).click();
const idle = (page, seconds) => page.locator("main[data-state=idle]").waitFor({ timeout: seconds * 1000 });
const verdict = (page) => page.locator("[data-verdict]");

/** Runs the study that is shown with one seed, to its verdict. */
async function run(page) {
  await ready(page, "cpu");
  await page.getByRole("spinbutton", { name: /^seeds$/i }).fill("1");
  await page.keyboard.press("Tab");
  await press(page, "Run");
  const done = await until(page, (event) => event.event === "study_done", { seconds: 120 });
  await verdict(page).waitFor();
  return done;
}

/** The build's file of texts. */
const texts = (page) => page.evaluate(async () => (await fetch(document.getElementById("studies").href)).json());

test("the build's texts are those of the program with the studies", async () => {
  const page = await visit(lab, "#studies");
  const told = await page.evaluate(async () => {
    const start = new URL(document.querySelector("meta[name=studies-worker]").content, document.baseURI);
    const file = (ending) => new URL(`studies-worker${ending}?v=${start.searchParams.get("v")}`, document.baseURI);
    const program = await import(file(".js"));
    const { laid } = await import(new URL("js/threads.js", document.baseURI));
    const module = await WebAssembly.compileStreaming(fetch(file("_bg.wasm")));
    await program.default({ module_or_path: module, memory: laid(module) });
    return JSON.parse(program.cards());
  });
  assert.ok(told.length > 0);
  // What each came to is the build's to add.
  assert.deepEqual((await texts(page)).map((card) => ({ ...card, reference: null })), told);
  assert.deepEqual(page.faults, []);
  await page.context().close();
});

test("the gallery is painted with all texts before any engine is there, and does without the studies' program", async () => {
  const page = await visit(lab, "#studies", { block: /worker_bg\.wasm/ });
  const studies = await texts(page);
  for (const { id, title, claim } of studies) {
    const card = page.locator(`a[data-study="${id}"]`);
    await card.waitFor();
    assert.ok((await card.innerText()).includes(title) && (await card.innerText()).includes(claim), title);
  }
  assert.ok(!page.events.some((event) => event.event === "ready"), "an engine came in spite of all");
  assert.ok(page.asked.some((url) => /\/worker_bg\.wasm/.test(url)));
  assert.ok(!page.asked.some((url) => /studies-worker/.test(url)), "the gallery has fetched the studies' program");
  await page.context().close();
});

test("a study starts to compute within 3 s of opening its link", async (context) => {
  // On the CPU, with nothing in any cache; the best of some, as other work on this machine only adds to the time.
  const cold = await open({ webgpu: false });
  const times = [];
  while (times.length < 5 && !(Math.min(...times) <= 3000)) {
    const page = await visit(cold, null);
    const slow = await slowness(cold);
    const begun = Date.now();
    await page.goto(`${cold.url}#study/59`);
    await press(page, "Run");
    await until(page, (event) => event.event === "study_figures" || event.event === "study_progress");
    const spent = Date.now() - begun;
    context.diagnostic(`a study computes after ${spent} ms, where things take ${slow.toFixed(2)} times as long as they might`);
    times.push(spent / slow);
    assert.deepEqual(page.faults, []);
    await page.context().close();
  }
  await cold.close();
  assert.ok(Math.min(...times) <= 3000, `${times.join(", ")} ms`);
});

test("each study has a page with its figures", async () => {
  const page = await visit(lab, "#studies");
  const studies = await texts(page);
  for (const { id, title } of studies) {
    await page.goto(`${lab.url}#studies`);
    await page.locator(`a[data-study="${id}"]`).click();
    await page.getByRole("heading", { level: 1, name: title }).waitFor();
    assert.ok((await page.locator("[data-figure]").count()) > 0);
  }
  assert.deepEqual(page.faults, []);
  await page.context().close();
});

test("a study runs to its verdict, which is there after a reload", async () => {
  const page = await visit(lab, "#study/4?nodes=2000&steps=20");
  await ready(page, "cpu");
  assert.equal(await page.locator("[data-path='study/4/steps'] input[type=text]").inputValue(), "20");
  const empty = await page.locator("[data-figure] .empty").count();
  assert.ok(empty > 0, "nothing is drawn before it has run");
  const seeds = page.getByRole("spinbutton", { name: /^seeds$/i });
  // What is used is what is shown.
  for (const [typed, used] of [["50", "20"], ["60", "20"], ["2", "2"]]) {
    await seeds.fill(typed);
    await page.keyboard.press("Tab");
    assert.equal(await seeds.inputValue(), used);
  }
  await press(page, "Run");
  const progress = await until(page, (event) => event.event === "study_progress");
  assert.equal(progress.id, 4);
  const done = await until(page, (event) => event.event === "study_done", { seconds: 120 });
  await idle(page, 10);

  // The page says what the engine found, check by check.
  await verdict(page).waitFor();
  const shown = await verdict(page).innerText();
  assert.ok(shown.includes(done.verdict.answer), shown);
  await verdict(page).locator("summary").click();
  const checks = await verdict(page).locator("tbody tr").allInnerTexts();
  const wanted = [done.verdict.headline, ...done.verdict.also];
  assert.equal(checks.length, wanted.length);
  wanted.forEach(({ name, measured, holds }, i) => {
    const words = checks[i].split("\t").map((cell) => cell.trim());
    assert.deepEqual([words[0], words[1], words[3]], [name, measured, { true: "holds", false: "does not", null: "not tested" }[holds]]);
  });
  const holds = await verdict(page).getAttribute("data-verdict");
  assert.ok(["holds", "untested", "fails"].includes(holds), holds);

  // Every figure is drawn: something other than its ground is on its canvas.
  for (const { id, marks } of done.figures) {
    const figure = page.locator(`[data-figure="${id}"]`);
    await figure.scrollIntoViewIfNeeded();
    assert.ok(marks.length > 0, `${id} has no marks`);
    assert.equal(await figure.locator(".empty").count(), 0, `${id} is empty`);
    if (!(await figure.locator("canvas").count())) continue;
    await page.waitForFunction((id) => {
      const canvas = document.querySelector(`[data-figure="${id}"] canvas`);
      const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width || 1, canvas.height || 1);
      const words = new Uint32Array(data.buffer);
      return words.some((word) => word !== words[0]);
    }, id);
  }

  const other = page.getByText("not with what is set now");
  assert.equal(await other.count(), 0);
  await page.waitForTimeout(500);
  await page.reload();
  await verdict(page).waitFor();
  assert.equal(await verdict(page).innerText(), shown);

  // Beside other knobs it says what it ran with, and in the gallery it is no answer to what the study asks.
  await page.evaluate(() => (location.hash = "#study/4?steps=30"));
  await other.waitFor();
  assert.match(await other.innerText(), /Steps 20, Seeds 2/);
  await page.evaluate(() => (location.hash = "#studies"));
  await page.locator('a[data-study="4"] .mark').filter({ hasText: /in our run|in ours/ }).waitFor();
  assert.deepEqual(page.faults, []);
  await page.context().close();
});

test("study 01 runs as turned, and the link that Share copies opens it as it ran", async () => {
  const knob = (page) => page.locator("[data-path='study/1/batch'] input[type=text]");
  const page = await visit(lab, "#study/1");
  await knob(page).fill("64");
  await page.keyboard.press("Tab");
  const done = await run(page);
  assert.equal(done.id, 1);
  const link = await share(page);
  assert.match(link, /#study\/1\?.*batch=64/);
  assert.deepEqual(page.faults, []);
  await page.context().close();

  const again = await visit(lab, link);
  assert.equal(await knob(again).inputValue(), "64");
  assert.deepEqual((await run(again)).verdict, done.verdict);
  assert.deepEqual(again.faults, []);
  await again.context().close();
});

test("a study that is a list of runs runs to its verdict", async () => {
  const page = await visit(lab, "#study/15?images=digits&steps=100&train=100");
  const done = await run(page);
  assert.ok((await verdict(page).innerText()).includes(done.verdict.answer));
  assert.ok(done.figures.every((figure) => figure.marks.length > 0), "each figure shows something");
  assert.deepEqual(page.faults, []);
  await page.context().close();
});

test("a study is cancelled on the way, and the lab trains as before", async () => {
  const page = await visit(lab, "#lab?preset=mlp&steps=1000000&v=1");
  await ready(page, "cpu");
  await press(page, "Run");
  await until(page, (event) => event.event === "metrics");
  await page.evaluate(() => (location.hash = "#study/14"));
  await press(page, "Run");
  // The run in the lab gives way.
  await until(page, (event) => event.event === "state" && event.state === "paused");
  await until(page, (event) => event.event === "study_progress" && event.done > 0, { seconds: 120 });
  await press(page, "Cancel");
  const { verdict: none } = await until(page, (event) => event.event === "study_done");
  assert.equal(none, null);
  await idle(page, 10);
  await page.getByText("Cancelled.").waitFor();
  assert.equal(await verdict(page).count(), 0);

  await page.goBack();
  await transport(page).waitFor();
  const from = page.events.length;
  await press(page, "Go on");
  await until(page, (event) => event.event === "metrics", { from });
  await state(page, "running");
  assert.deepEqual(page.faults, []);
  await page.context().close();
});
