// The first five minutes: from a cold page to a run that is understood, a lesson by keys alone, and a teacher's own lesson.
import assert from "node:assert/strict";
import { readFileSync, readdirSync } from "node:fs";
import { after, before, test } from "node:test";
import { open, ready, share, slowness, state, until, visit } from "./harness.mjs";

const FOLDER = new URL("../app/lessons/", import.meta.url);
const NAMES = readdirSync(FOLDER).map((name) => name.replace(/^\d+-|\.md$/g, ""));

let lab;
before(async () => (lab = await open({ webgpu: false })));
after(() => lab.close());

const lesson = (page) => page.getByRole("region", { name: "Lesson" });
const link = (text) => `#lesson?text=${encodeURIComponent(text)}&v=2`;

test("from a cold page to a run that is understood in under a minute", async (context) => {
  const begun = Date.now();
  const page = await visit(lab);
  const start = page.getByRole("region", { name: "Start here" });
  await start.getByText(/Neural networks learn in this page/).waitFor();
  const cards = start.getByRole("link");
  await cards.first().waitFor();
  assert.equal(await cards.count(), 6);
  await cards.filter({ hasText: "First network" }).click();
  await lesson(page).getByRole("button", { name: "Next" }).click();
  const run = lesson(page).getByRole("button", { name: "Run", exact: true });
  assert.ok(await run.isDisabled(), "a prediction comes before the run");
  await lesson(page).getByRole("radio", { name: /Nine times in ten/ }).check();
  await ready(page);
  const from = page.events.length;
  const pressed = Date.now();
  await run.click();
  // What is seen first beside the loss is the picture of this run.
  const regions = (event) => event.event === "look" && event.figures.some((figure) => figure.id === "regions");
  await until(page, regions, { from });
  context.diagnostic(`the first picture came ${Date.now() - pressed} ms after Run`);
  const figures = await page.locator(".column [data-figure]").evaluateAll((all) => all.map((one) => one.dataset.figure));
  assert.equal(figures[0], "regions");
  const conclusion = lesson(page).locator(".conclusion");
  await conclusion.waitFor({ timeout: 45_000 });
  assert.equal(await conclusion.getAttribute("data-shown"), "true", await conclusion.textContent());
  assert.match(await conclusion.textContent(), /right in 9\d(\.\d)?% of the points/);
  await lesson(page).getByText("As you predicted.").waitFor();
  const seconds = (Date.now() - begun) / 1000;
  context.diagnostic(`${seconds} s from the cold page to the conclusion`);
  assert.ok(seconds < 60 * (await slowness(lab)), `${seconds} s`);
  assert.deepEqual(page.faults, []);
  await page.context().close();
});

test("a lesson to its end by keys alone", async () => {
  const page = await visit(lab, "#lesson");
  await ready(page);
  const focused = () => page.evaluate(() => document.activeElement.textContent.trim());
  /** Goes on with the Tab key until what has the focus says so. */
  const reach = async (words, most = 60) => {
    for (let i = 0; i < most; i++) {
      await page.keyboard.press("Tab");
      if (words.test(await focused())) return;
    }
    assert.fail(`no Tab leads to ${words}`);
  };
  await reach(/^Learning rate and divergence/);
  await page.keyboard.press("Enter");
  await lesson(page).waitFor();
  const steps = 6;
  for (let step = 1; step < steps; step++) {
    await lesson(page).getByText(`Step ${step} of ${steps}`).waitFor();
    if (await lesson(page).getByRole("radio").count()) {
      for (let i = 0; i < 60 && !(await page.evaluate(() => document.activeElement.type === "radio")); i++) await page.keyboard.press("Tab");
      await page.keyboard.press("Space");
      await reach(/^Run$/);
      await page.keyboard.press("Enter");
      await lesson(page).locator(".conclusion").waitFor({ timeout: 60_000 });
    }
    await reach(/^Next$/);
    await page.keyboard.press("Enter");
    // The focus is where the new step begins.
    assert.equal(await focused(), await lesson(page).getByRole("heading", { level: 2 }).textContent());
  }
  assert.match(await lesson(page).locator(".conclusion").textContent(), /With 0.003 the loss ended at/);
  await reach(/^All lessons$/);
  await page.keyboard.press("Enter");
  await page.getByRole("heading", { name: "Lessons", level: 1 }).waitFor();
  assert.deepEqual(page.faults, []);
  await page.context().close();
});

test("every lesson opens with its run", async () => {
  const page = await visit(lab, "#lesson");
  await ready(page);
  for (const name of NAMES) {
    await page.evaluate((name) => (location.hash = `#lesson?name=${name}`), name);
    const title = /^# (.*)/.exec(readFileSync(new URL(readdirSync(FOLDER).find((file) => file.endsWith(`-${name}.md`)), FOLDER), "utf8"))[1];
    await lesson(page).getByText(`Lessons · ${title}`).waitFor();
    assert.equal(await page.locator(".toast.bad, .problem").count(), 0, name);
  }
  await page.evaluate(() => (location.hash = "#lesson?name=nothing"));
  await page.getByRole("alert").filter({ hasText: "There is no lesson “nothing” here." }).waitFor();
  assert.deepEqual(page.faults, []);
  await page.context().close();
});

const OWN = `# Ours
Made by us.
@start #lab?preset=tanh-mlp&steps=200

## Go
A word with **stress**, and <script>no tag</script>.
@set schedule.peak=0.2
@show schedule.peak
@run ours
@ask Down?
- Yes | ours.loss < ours.first
- No | ours.loss >= ours.first
@if ours.loss < ours.first | Down from {ours.first}.
@else Up.
`;

test("a teacher writes a lesson, and whoever opens its link has it", async () => {
  const page = await visit(lab, "#lesson");
  await ready(page);
  await page.getByText("Write a lesson of your own").click();
  const text = page.getByRole("textbox", { name: "Text of the lesson" });
  // What is wrong is said with its line, and nothing can be opened.
  await text.fill(OWN.replace("@run ours", "@run ours\n@paint red"));
  await page.getByRole("alert").filter({ hasText: "Line 10: there is no “@paint”" }).waitFor();
  assert.equal(await page.getByRole("link", { name: "Open it" }).count(), 0);
  await text.fill(OWN);
  await page.getByRole("link", { name: "Open it" }).click();
  await lesson(page).getByText("Lessons · Ours").waitFor();
  const hash = await share(page);
  assert.deepEqual(page.faults, []);
  await page.context().close();

  const pupil = await visit(lab, hash);
  await ready(pupil);
  await lesson(pupil).getByText("<script>no tag</script>").waitFor();
  assert.equal(await lesson(pupil).locator("[data-path='schedule.peak'] input[type=text]").inputValue(), "0.2");
  await lesson(pupil).getByRole("radio", { name: "No" }).check();
  await lesson(pupil).getByRole("button", { name: "Run", exact: true }).click();
  await lesson(pupil).getByText(/^Down from \d/).waitFor();
  await lesson(pupil).getByText("Not as you predicted, but: Yes.").waitFor();
  // The lesson's text can be taken from here.
  await lesson(pupil).getByRole("button", { name: "Make it your own" }).click();
  assert.equal(await pupil.getByRole("textbox", { name: "Text of the lesson" }).inputValue(), OWN);
  assert.deepEqual(pupil.faults, []);
  await pupil.context().close();
});

const TWICE = `${OWN}
## Again
@set schedule.peak=0.1
@run again
@ask Down again?
- Yes | again.loss < again.first
- No | again.loss >= again.first
@if again.loss < again.first | Down again from {again.first}.
@else Up again.
`;

test("a step takes no run of another one, and whoever comes back goes on where they were", async () => {
  const page = await visit(lab, link(TWICE));
  await ready(page);
  const conclusion = lesson(page).locator(".conclusion");
  const press = (name) => lesson(page).getByRole("button", { name, exact: true }).click();
  const ended = (from) => until(page, (event) => event.event === "state" && event.state === "done", { from });
  await lesson(page).getByRole("radio", { name: "Yes" }).check();
  await press("Run");
  await ended(0);
  await conclusion.waitFor();
  // The run before is now nobody's.
  const from = page.events.length;
  await press("Run again");
  await ended(from);
  await press("Next");
  await lesson(page).getByText("Step 2 of 2").waitFor();
  await page.locator("tr[data-run]").last().locator("td.name button").click();
  await state(page, "done");
  assert.equal(await conclusion.count(), 0);
  await lesson(page).getByRole("link", { name: "This run in the lab" }).click();
  await lesson(page).waitFor({ state: "detached" });
  await page.evaluate((hash) => (location.hash = hash), link(TWICE));
  await lesson(page).getByText("Step 2 of 2").waitFor();
  await lesson(page).getByRole("radio", { name: "Yes" }).check();
  await press("Run");
  await lesson(page).getByText(/^Down again from \d/).waitFor();
  await press("Back");
  await lesson(page).getByText(/^Down from \d/).waitFor();
  assert.deepEqual(page.faults, []);
  await page.context().close();
});

test("a broken lesson says where it is broken", async () => {
  for (const [text, words] of [
    ["# A\n## B\n@set batch.size=many", /Line 3: /],
    ["# A\n## B\n@run a\n@if a.loss > | x\n@else y", /Line 4: a number or a run's quantity is missing/],
    ["nothing", /Line 1: a lesson begins with/],
    ["# A\n" + "(".repeat(5000), /Line 2: a lesson has at least one step/],
  ]) {
    const page = await visit(lab, link(text));
    const alert = page.getByRole("alert").filter({ hasText: "This lesson cannot be read." });
    await alert.waitFor();
    assert.match(await alert.textContent(), words);
    assert.equal(await page.getByRole("textbox", { name: "Text of the lesson" }).inputValue(), text);
    assert.deepEqual(page.faults, []);
    await page.context().close();
  }
});
