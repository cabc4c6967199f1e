// Data of the person's own, as files and folders: each kind is dropped, becomes the recipe's data set, and trains.
import assert from "node:assert/strict";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, before, test } from "node:test";
import { npy, png, zip } from "./files.mjs";
import { drop, losses, open, ready, state, until, visit } from "./harness.mjs";

let lab;
before(async () => (lab = await open({ webgpu: false })));
after(() => lab.close());

const STEPS = 40;
const LINK = `#lab?preset=mlp&steps=${STEPS}&batch.size=8&probes.look=0&probes.curvature=0&v=1`;

/** Two classes of pictures that anything can tell apart: bright to the left and bright to the right. */
const pictures = ["left", "right"].flatMap((kind) =>
  Array.from({ length: 15 }, (_, i) => [`${kind}/${i}.png`, png(10, (x) => ((x < 5) === (kind === "left") ? 200 : 20) + 2 * i)]),
);

/** The lab with a recipe for other data. */
async function recipe() {
  const page = await visit(lab, LINK);
  await ready(page);
  await until(page, (event) => event.event === "configured");
  return page;
}

/** The data just dropped become the recipe's and train to the end; returns the card that describes them. */
async function trains(page, { falls = true } = {}) {
  const { card } = await until(page, (event) => event.event === "imported");
  const { spec } = await until(page, (event) => event.event === "configured" && event.spec.data.set === "own");
  await page.getByRole("button", { name: "Run", exact: true }).click();
  await state(page, "done", 120);
  const all = losses(page);
  assert.equal(all.length, spec.steps);
  assert.ok(all.every(Number.isFinite));
  const mean = (part) => part.reduce((sum, loss) => sum + loss, 0) / part.length;
  if (falls) assert.ok(mean(all.slice(-5)) < 0.8 * mean(all.slice(0, 5)), `the loss does not fall: ${all}`);
  assert.deepEqual(page.faults, []);
  return card;
}

test("a table: the columns are chosen, numbers and texts are learned from", async () => {
  const page = await recipe();
  const rows = Array.from({ length: 80 }, (_, i) => `${i},${i % 2 ? 3 : -3},${["red", "blue"][i % 2]},${["no", "yes"][i % 2]}`);
  await drop(page, "flowers.csv", Buffer.from(`id,width,colour,bloom\n${rows.join("\n")}\n`));
  const dialog = page.getByRole("dialog");
  await dialog.getByRole("combobox").selectOption("bloom");
  await dialog.getByRole("button", { name: "id", exact: true }).click();
  await dialog.getByRole("button", { name: "Read it" }).click();
  const card = await trains(page);
  assert.equal(card.title, "flowers.csv");
  assert.deepEqual(card.classes, ["no", "yes"]);
  // The number, and an indicator for each colour; not the column that was left out.
  assert.deepEqual(card.shape, [3]);
  assert.equal(card.train + card.test, 80);
  await page.context().close();
});

test("a series: rows that follow in time are forecast", async () => {
  const page = await recipe();
  const rows = Array.from({ length: 600 }, (_, i) => `${Math.sin(i / 5)},${Math.cos(i / 5)}`);
  await drop(page, "tide.csv", Buffer.from(`height,flow\n${rows.join("\n")}\n`));
  const dialog = page.getByRole("dialog");
  await dialog.getByRole("radio", { name: "rows follow in time" }).click();
  await dialog.getByRole("button", { name: "Read it" }).click();
  const card = await trains(page);
  assert.equal(card.content, "series");
  await page.context().close();
});

test("NumPy arrays", async () => {
  const page = await recipe();
  const labels = Int32Array.from({ length: 60 }, (_, i) => i % 3);
  const inputs = Float32Array.from({ length: 60 * 4 }, (_, i) => (labels[i >> 2] === i % 4 ? 2 : 0) + 0.1 * Math.sin(i));
  await drop(page, "points.npz", zip([["x.npy", npy("<f4", [60, 4], inputs)], ["y.npy", npy("<i4", [60], labels)]]));
  const card = await trains(page);
  assert.deepEqual(card.classes, ["0", "1", "2"]);
  assert.deepEqual(card.shape, [4]);
  await page.context().close();
});

test("an archive of folders of pictures", async () => {
  const page = await recipe();
  await drop(page, "sides.zip", zip(pictures));
  const card = await trains(page);
  assert.deepEqual(card.classes, ["left", "right"]);
  assert.equal(card.train + card.test, pictures.length);
  await page.context().close();
});

test("a folder of folders of pictures", async () => {
  const page = await recipe();
  const folder = await mkdtemp(join(tmpdir(), "sides-"));
  try {
    for (const [path, bytes] of pictures) {
      await mkdir(dirname(join(folder, path)), { recursive: true });
      await writeFile(join(folder, path), bytes);
    }
    await writeFile(join(folder, ".DS_Store"), "what a system leaves in a folder is not looked at");
    // A folder can only be dropped by the browser itself.
    const session = await page.context().newCDPSession(page);
    const data = { items: [], files: [folder], dragOperationsMask: 1 };
    for (const type of ["dragEnter", "dragOver"]) await session.send("Input.dispatchDragEvent", { type, x: 700, y: 400, data });
    await page.getByText("Drop to train on it").waitFor();
    await session.send("Input.dispatchDragEvent", { type: "drop", x: 700, y: 400, data });
    const card = await trains(page);
    assert.deepEqual(card.classes, ["left", "right"]);
    assert.equal(card.train + card.test, pictures.length);
  } finally {
    await rm(folder, { recursive: true });
  }
  await page.context().close();
});

test("a text, by a model that reads text", async () => {
  const page = await visit(lab, `#lab?preset=gpt&model.width=32&model.context=16&batch.size=8&steps=${STEPS}&probes.look=0&probes.curvature=0&v=1`);
  await ready(page);
  await drop(page, "rhyme.txt", Buffer.from("The rain in Spain stays mainly in the plain.\n".repeat(60)));
  const card = await trains(page);
  assert.equal(card.content, "text");
  assert.ok(card.classes.includes("S"));
  await page.context().close();
});

test("picked in the file dialog, over a recipe that does not fit", async () => {
  const page = await visit(lab, "#lab?preset=gpt&model.width=32&batch.size=8&steps=10&v=1");
  await ready(page);
  await page.locator("input[type=file]").first().setInputFiles({ name: "sides.zip", mimeType: "application/zip", buffer: zip(pictures) });
  const { spec } = await until(page, (event) => event.event === "configured" && event.spec.data.set === "own");
  assert.ok(!("gpt" in spec.model), `pictures are given to ${Object.keys(spec.model)}`);
  await trains(page, { falls: false });
  await page.context().close();
});

test("a link to a run on own data finds them again after a reload", async () => {
  const page = await recipe();
  await drop(page, "sides.zip", zip(pictures));
  await trains(page);
  const first = losses(page);
  await page.waitForFunction(() => location.hash.includes("data.hash="));
  // The database is written behind the scenes.
  await page.waitForTimeout(500);
  const seen = page.events.length;
  await page.reload();
  await until(page, (event) => event.event === "configured" && event.spec.data.set === "own", { from: seen });
  await page.getByRole("button", { name: "Run", exact: true }).click();
  await state(page, "done", 120);
  assert.deepEqual(losses(page), first);
  assert.deepEqual(page.faults, []);
  await page.context().close();
});
