// The few-shot lab as a person uses it: a task is looked into, methods are compared, and three classes are drawn, told
// apart, corrected, saved and loaded.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { after, before, test } from "node:test";
import { png, unzip, zip } from "./files.mjs";
import { open, slowness, until, visit } from "./harness.mjs";

let lab;
before(async () => (lab = await open({ webgpu: false })));
after(() => lab.close());

const button = (page, name) => page.getByRole("button", { name, exact: true });
const said = (kind) => (event) => event.event === "fewshot" && kind in event;
/** The last thing of its kind that the engine has said. */
const last = (page, kind) => page.events.findLast(said(kind))?.[kind];

/** Draws a line through points of a pad, as shares of its side. */
async function draw(page, pad, points) {
  await pad.scrollIntoViewIfNeeded();
  const { x, y, width, height } = await pad.boundingBox();
  const places = points.map(([across, down]) => [x + across * width, y + down * height]);
  await page.mouse.move(...places[0]);
  await page.mouse.down();
  for (const place of places.slice(1)) await page.mouse.move(...place, { steps: 8 });
  await page.mouse.up();
}

const around = (radius, shift = 0) =>
  Array.from({ length: 17 }, (_, i) => [0.5 + shift + radius * Math.cos((i * Math.PI) / 8), 0.5 + radius * Math.sin((i * Math.PI) / 8)]);
/** Two drawings of each of three classes, and of each one more that is to be told apart. */
const DRAWINGS = {
  A: [[[0.5, 0.15], [0.5, 0.85]], [[0.46, 0.12], [0.48, 0.88]], [[0.53, 0.16], [0.51, 0.84]]],
  B: [around(0.3), around(0.33, 0.02), around(0.31, -0.02)],
  C: [
    [[0.2, 0.2], [0.8, 0.2], [0.2, 0.8], [0.8, 0.8]],
    [[0.22, 0.18], [0.78, 0.2], [0.22, 0.78], [0.8, 0.8]],
    [[0.18, 0.22], [0.8, 0.22], [0.24, 0.8], [0.78, 0.78]],
  ],
};

test("a task is seen, and every query says why it was answered so", async () => {
  const page = await visit(lab, "#fewshot?ways=5&shots=2&queries=8&v=2");
  await until(page, said("task"));
  const { task } = page.events.findLast(said("task"));
  const queries = page.locator(".query");
  await queries.first().waitFor();
  assert.equal(await page.locator(".class-row").count(), 5);
  assert.equal(await page.locator(".labelled .pic").count(), 10);
  assert.equal(await queries.count(), 40);
  const wrong = task.queries.filter((query) => query.truth !== query.predicted).length;
  assert.equal(await page.locator(".query.wrong").count(), wrong);

  // What is listed is what the engine has said, nearest first.
  await page.getByRole("button", { name: /^query 3: / }).click();
  const why = page.getByRole("region", { name: "The query looked at" });
  await why.getByText("query 3").waitFor();
  const far = (await why.locator("tbody td.number:nth-child(3)").allTextContents()).map(Number);
  assert.deepEqual(far, far.toSorted((a, b) => a - b));
  assert.ok(Math.abs(far[0] - Math.min(...task.queries[2].distances)) < 0.01 * far[0]);

  // Arrow keys lead through the queries.
  await page.keyboard.press("ArrowRight");
  assert.ok(await page.evaluate(() => document.activeElement.matches(".query")));
  await page.keyboard.press("Enter");
  assert.equal(await page.locator(".query[aria-pressed=true]").count(), 1);

  // The stars walk.
  const slider = page.getByRole("slider", { name: "iteration", exact: true });
  assert.equal(await slider.inputValue(), String(task.walk.length - 1));
  await slider.fill("0");
  const first = task.walk[0].predicted.filter((place, i) => place !== task.queries[i].truth).length;
  assert.equal(await page.locator(".query.wrong").count(), first);

  // One more picture of a class, and the next task.
  const seen = page.events.length;
  await page.getByRole("button", { name: /^One more labelled picture/ }).first().click();
  await until(page, said("task"), { from: seen });
  await page.locator(".labelled .pic").nth(10).waitFor();
  await button(page, "Next task").click();
  await page.locator("[data-task='1']").waitFor();
  assert.deepEqual(page.faults, []);
  await page.context().close();
});

test("methods are compared on the same tasks, and the link carries the session", async () => {
  const page = await visit(lab, "#fewshot?tasks=20&compare=prototype,simpleshot,k-means&hide=alpha&v=2");
  await until(page, said("task"));
  await button(page, "Run many tasks").click();
  const { scores } = await until(page, (event) => said("scores")(event) && event.scores.finished);
  assert.deepEqual([scores.tasks, scores.methods.length], [20, 3]);
  const figure = page.locator("[data-figure=methods]");
  await figure.getByText("20 of 20 tasks").waitFor();
  assert.match(await figure.getAttribute("aria-label"), /^Nearest prototype [\d.]+ ± [\d.]+%; SimpleShot/);
  assert.equal(await page.locator("[data-figure=differences] tbody tr").count(), 3);
  const [download] = await Promise.all([page.waitForEvent("download"), button(page, "Predictions (CSV)").click()]);
  assert.ok((await readFile(await download.path(), "utf8")).startsWith("task,"));

  // Settings are in the address, and Back undoes them; what is hidden has no control.
  assert.equal(await page.locator("[data-path=alpha]").count(), 0);
  await page.waitForTimeout(1300);
  const ways = page.locator("[data-path=ways] input.number");
  await ways.fill("7");
  await ways.press("Enter");
  await page.waitForFunction(() => location.hash.includes("ways=7"));
  await page.locator(".class-row").nth(6).waitFor();
  await page.goBack();
  await page.waitForFunction(() => document.querySelectorAll(".class-row").length === 5);
  await ways.fill("1");
  await ways.press("Enter");
  await page.getByRole("alert").filter({ hasText: "from 2 to" }).waitFor();
  assert.deepEqual(page.faults, []);
  await page.context().close();
});

test("three classes are drawn, a picture is told apart, one is corrected, all are saved and loaded", async () => {
  const page = await visit(lab, "#fewshot?preset=own&v=2");
  await until(page, said("own"));
  const taught = page.getByRole("region", { name: "Your classes" });
  const classes = page.locator(".own-class");
  for (const [i, drawings] of Object.values(DRAWINGS).entries()) {
    await button(page, "Add a class").click();
    await classes.nth(i).waitFor();
    for (const [j, drawing] of drawings.slice(0, 2).entries()) {
      await draw(page, classes.nth(i).locator(".pad"), drawing);
      await classes.nth(i).getByRole("button", { name: "Add", exact: true }).click();
      await classes.nth(i).locator(".shot").nth(j).waitFor();
    }
  }
  assert.deepEqual(last(page, "own").classes.map(({ name, pictures }) => [name, pictures]), [["A", 2], ["B", 2], ["C", 2]]);

  const pad = page.getByRole("img", { name: "Pad to be classified" });
  for (const [name, drawings] of Object.entries(DRAWINGS)) {
    await draw(page, pad, drawings[2]);
    await page.locator(`[data-answer="${name}"]`).waitFor();
    await button(page, "Clear").first().click();
  }

  // A drawing of neither kind is put where it is said to belong: the next of its kind is told by it.
  const odd = [[0.15, 0.8], [0.85, 0.8]];
  await draw(page, pad, odd);
  await page.locator("[data-answer]").waitFor();
  await page.getByRole("button", { name: "It is C: add it there" }).click();
  await classes.nth(2).locator(".shot").nth(2).waitFor();
  await draw(page, pad, odd);
  await page.getByText("nearest: C").waitFor();

  const [download] = await Promise.all([page.waitForEvent("download"), button(page, "Save the classes").click()]);
  const file = await readFile(await download.path());
  await button(page, "Clear all").click();
  await page.locator("[data-classes='0']").waitFor();
  await button(page, "Undo").click();
  await page.locator("[data-classes='3']").waitFor();
  assert.deepEqual(last(page, "own").classes.map(({ pictures }) => pictures), [2, 2, 3]);
  await button(page, "Clear all").click();
  await page.locator("[data-classes='0']").waitFor();
  const load = (content) =>
    taught.locator("input[accept='.mbcl']").setInputFiles({ name: "classes.mbcl", mimeType: "application/octet-stream", buffer: content });
  await load(file.subarray(0, 40));
  await page.getByText(/no file of classes/).waitFor();
  const before = page.events.length;
  await load(file);
  await page.locator("[data-classes='3']").waitFor();
  assert.deepEqual(last(page, "own").classes.map(({ name, pictures }) => [name, pictures]), [["A", 2], ["B", 2], ["C", 3]]);
  await classes.nth(2).locator(".shot").nth(2).waitFor();

  // They are kept: there again after a reload.
  await until(page, said("file"), { from: before });
  await page.reload();
  await page.locator("[data-classes='3']").waitFor();
  await classes.nth(2).locator(".shot").nth(2).waitFor();

  // By keys alone: a name, a picture taken away.
  await page.getByRole("textbox", { name: "Name of class 1" }).fill("lines");
  await page.keyboard.press("Enter");
  await page.getByRole("region", { name: "Class lines" }).waitFor();
  await page.getByRole("button", { name: "Take picture 3 of C away" }).press("Enter");
  await page.waitForFunction(() => document.querySelectorAll(".shot").length === 6);
  assert.deepEqual(page.faults, []);
  await page.context().close();
});

test("pictures are files too; one that is none gives a message, and nothing is lost", async () => {
  const page = await visit(lab, "#fewshot?preset=own&v=2");
  await until(page, said("own"));
  const taught = page.getByRole("region", { name: "Your classes" });
  const give = (name, buffer) => taught.locator(":scope > .filters input[accept*='.zip']").setInputFiles({ name, mimeType: "image/png", buffer });
  await button(page, "Add a class").click();
  await page.locator(".own-class").waitFor();
  const bars = png(28, (x) => (x % 8 < 4 ? 255 : 0));
  await page.locator(".own-class input[type=file]").setInputFiles({ name: "bars.png", mimeType: "image/png", buffer: bars });
  await page.locator(".shot").waitFor();
  await give("garbage.png", Buffer.from("this is no picture"));
  await page.locator(".toast.bad").filter({ hasText: /garbage/ }).waitFor();
  await page.getByRole("region", { name: "What is this?" }).locator("input[type=file]").setInputFiles({ name: "noise.png", mimeType: "image/png", buffer: Buffer.from("nor is this") });
  await page.locator(".toast.bad").filter({ hasText: /noise\.png is no picture/ }).waitFor();
  // Two classes of one name.
  await button(page, "Add a class").click();
  const second = page.getByRole("textbox", { name: "Name of class 2" });
  await second.fill("A");
  await second.press("Enter");
  await page.locator(".toast.bad").filter({ hasText: /already/ }).waitFor();
  assert.equal(await page.locator(".shot").count(), 1);
  assert.deepEqual(page.faults, []);
  await page.context().close();
});

test("a picture or a camera that comes after its page was left is nobody's", async () => {
  const page = await visit(lab, "#fewshot?preset=own&v=2");
  await until(page, said("own"));
  const question = page.getByRole("region", { name: "What is this?" });
  // Both take until they are let go.
  await page.evaluate(() => {
    const decode = window.createImageBitmap;
    const gate = new Promise((open) => (window.letGo = open));
    window.asked = [];
    window.createImageBitmap = (file) => (window.asked.push("picture"), gate.then(() => decode(file)));
    navigator.mediaDevices.getUserMedia = () => {
      window.asked.push("camera");
      const scene = document.createElement("canvas");
      scene.getContext("2d").fillRect(0, 0, 1, 1);
      window.stream = scene.captureStream();
      return gate.then(() => window.stream);
    };
  });
  const bars = png(28, (x) => (x % 8 < 4 ? 255 : 0));
  await question.locator("input[type=file]").setInputFiles({ name: "bars.png", mimeType: "image/png", buffer: bars });
  await page.waitForFunction(() => window.asked.includes("picture"));
  // Whoever is asked for the camera is asked once.
  for (let i = 0; i < 2; i++) await question.getByRole("button", { name: "Camera" }).click();
  await page.waitForFunction(() => window.asked.includes("camera"));
  assert.deepEqual(await page.evaluate(() => window.asked), ["picture", "camera"]);
  await page.evaluate(() => (location.hash = "#studies"));
  await question.waitFor({ state: "detached" });
  await page.evaluate(() => window.letGo());
  await page.waitForFunction(() => window.stream.getTracks().every((track) => track.readyState === "ended"));
  await page.waitForTimeout(200);
  assert.equal(await page.locator(".toast.bad").count(), 0);
  assert.deepEqual(page.faults, []);
  await page.context().close();
});

test("photographs are told apart within seconds of the third", async () => {
  const photographs = unzip(await readFile(new URL("../engine/studies/src/fewshot/tests/photographs.zip", import.meta.url)));
  const page = await visit(lab, "#fewshot?preset=photographs&v=2");
  await until(page, said("own"));
  const taught = page.getByRole("region", { name: "Your classes" });
  const files = taught.locator(":scope > .filters input[accept*='.zip']");
  const three = ["cat", "coffee", "rocket"];
  const given = zip(three.map((name) => [`${name}/1.jpg`, photographs.get(`${name}/1.jpg`)]));
  const began = Date.now();
  await files.setInputFiles({ name: "three.zip", mimeType: "application/zip", buffer: given });
  await page.locator("[data-classes='3']").waitFor();
  const ask = async (name, number) => {
    const picture = { name: `${number}.jpg`, mimeType: "image/jpeg", buffer: photographs.get(`${name}/${number}.jpg`) };
    await page.getByRole("region", { name: "What is this?" }).locator("input[type=file]").setInputFiles(picture);
    await page.locator(`[data-answer="${name}"]`).waitFor();
  };
  await ask("cat", 2);
  const spent = Date.now() - began;
  assert.ok(spent < 5000 * (await slowness(lab)), `${spent} ms`);
  await ask("rocket", 3);
  await ask("coffee", 4);
  // Another embedding finds the pictures as they were given.
  await page.locator("summary", { hasText: "Embedding" }).click();
  await page.getByLabel("embedding", { exact: true }).selectOption("pixels");
  await page.getByLabel("embedding", { exact: true }).selectOption("squeezenet");
  await ask("cat", 3);
  assert.deepEqual(page.faults, []);
  await page.context().close();
});

test("folders in a zip are classes; too many, too large or empty ones are said, and nothing is lost", async () => {
  const page = await visit(lab, "#fewshot?preset=own&v=2");
  await until(page, said("own"));
  const taught = page.getByRole("region", { name: "Your classes" });
  const give = (entries) =>
    taught.locator(":scope > .filters input[accept*='.zip']").setInputFiles({ name: "own.zip", mimeType: "application/zip", buffer: zip(entries) });
  const counted = (count) => page.locator(`[data-classes='${count}']`).waitFor();
  const complaint = (text) => page.locator(".toast.bad").filter({ hasText: text }).first().waitFor();
  const small = (seed) => png(16, (x, y) => ((x * seed + y * 7) % 5) * 50);

  // One class, of one picture; then another whose folder holds what is no picture at all.
  await give([["cats/one.png", small(1)]]);
  await counted(1);
  await give([["dogs/one.png", small(2)], ["dogs/two.png", Buffer.from("no picture")]]);
  await complaint(/two\.png/);
  await give(Array.from({ length: 50 }, (_, i) => [`birds/${i}.png`, Buffer.from(`garbage ${i}`)]));
  await complaint(/0\.png/);
  assert.ok(last(page, "own").classes.some(({ name, pictures }) => name === "cats" && pictures === 1));

  // A photograph of 40 megapixels is a picture like others.
  const large = png(6400, (x, y) => ((x >> 9) + (y >> 9)) * 9);
  await page.locator(".own-class input[type=file]").first().setInputFiles({ name: "large.png", mimeType: "image/png", buffer: large });
  await page.locator(".own-class").first().locator(".shot").nth(1).waitFor();

  // As many classes as there may be, and one more.
  await button(page, "Clear all").click();
  await counted(0);
  const many = Array.from({ length: 201 }, (_, i) => [`class ${i}/a.png`, small(i)]);
  await give(many);
  await complaint(/200 classes, which is the most/);
  await counted(0);
  await give(many.slice(0, 200));
  await counted(200);
  assert.deepEqual(page.faults, []);
  await page.context().close();
});
