// Data of the person's own, as files and folders: each kind is dropped, becomes the recipe's data set, and trains.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, before, test } from "node:test";
import { npy, png, zip } from "./files.mjs";
import { drop, losses, open, ready, share, state, until, visit } from "./harness.mjs";

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
  const { card } = await until(page, (event) => event.event === "data_imported");
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
  // A column that only numbers the rows is left out, and said; a class of few values is the likely one.
  await dialog.getByText("It only numbers the rows.").waitFor();
  assert.equal(await dialog.getByLabel("id is taken for").inputValue(), "ignored");
  assert.equal(await dialog.getByLabel("colour is taken for").inputValue(), "category");
  assert.equal(await dialog.getByLabel("width is taken for").inputValue(), "number");
  assert.equal(await dialog.getByLabel("bloom is taken for").inputValue(), "target");
  await dialog.getByText("red, blue, red, blue, red").waitFor();
  await dialog.getByRole("combobox", { name: "class", exact: true }).selectOption("colour");
  assert.equal(await dialog.getByLabel("colour is taken for").inputValue(), "target");
  await dialog.getByLabel("bloom is taken for").selectOption("target");
  assert.equal(await dialog.getByRole("combobox", { name: "class", exact: true }).inputValue(), "bloom");
  assert.equal(await dialog.getByLabel("colour is taken for").inputValue(), "category");
  await dialog.getByRole("button", { name: "Read it" }).click();
  const card = await trains(page);
  assert.equal(card.title, "flowers.csv");
  assert.deepEqual(card.classes, ["no", "yes"]);
  // The number, and an indicator for each colour; not the column that was left out.
  assert.deepEqual(card.shape, [3]);
  assert.equal(card.train + card.test, 80);
  await page.context().close();
});

test("a choice that cannot be used is said in the dialog, which stays for a better one", async () => {
  const page = await recipe();
  const rows = Array.from({ length: 60 }, (_, i) => `${i % 2 ? 3 : -3},same,${["no", "yes"][i % 2]}`);
  await drop(page, "flowers.csv", Buffer.from(`width,garden,bloom\n${rows.join("\n")}\n`));
  const dialog = page.getByRole("dialog");
  await dialog.getByLabel("garden is taken for").selectOption("target");
  await dialog.getByRole("button", { name: "Read it" }).click();
  await dialog.getByRole("alert").waitFor();
  await dialog.getByLabel("bloom is taken for").selectOption("target");
  await dialog.getByRole("button", { name: "Read it" }).click();
  await dialog.waitFor({ state: "detached" });
  await until(page, (event) => event.event === "data_imported", { errors: true });
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

/** Drops a file, answers what is asked with what is likely, and returns the card of what was read. */
async function read(page, name, bytes, answer = async () => {}) {
  const from = page.events.length;
  await drop(page, name, Buffer.from(bytes));
  const first = await until(page, (event) => event.event === "data_asked" || event.event === "data_imported", { from });
  if (first.event === "data_asked") {
    const dialog = page.getByRole("dialog");
    await answer(dialog, first.choice);
    await dialog.getByRole("button", { name: "Read it" }).click();
  }
  const { card, data } = await until(page, (event) => event.event === "data_imported", { from });
  // The run is built for exactly these data, and nothing is read once more.
  await until(page, (event) => event.event === "configured" && event.spec.data.hash === data.hash, { from });
  await page.waitForTimeout(300);
  assert.equal(page.events.slice(from).filter((event) => event.event === "data_imported").length, 1, `${name} is read once`);
  return card;
}

const value = (i) => ((i * 37) % 40) / 20 - 0.975;
const sign = (i) => (value(i) > 0 ? "yes" : "no");
const rows = (header, row) => `${header}\n${Array.from({ length: 40 }, (_, i) => row(i)).join("\n")}\n`;
const plain = (header) => rows(header, (i) => `${value(i)},${sign(i)}`);
const yes = { classes: ["no", "yes"], shape: [1] };
const gradient = (kind) => png(10, (x, y) => (kind ? 20 * x : 20 * y));
const archive = (path) => zip(Array.from({ length: 24 }, (_, i) => [path(i), gradient(i % 2)]));
const red = readFileSync(new URL("../engine/src/data/import/red8.jpg", import.meta.url));
const floats = (n, of) => Float32Array.from({ length: n }, (_, i) => of(i));

/** Files as people bring them: name, bytes, what the card must say, and a note that must be on it. */
const brought = [
  ["headerless.csv", plain("0.25,yes"), yes],
  ["newline_in_header.csv", plain('"width\n(cm)",label'), yes],
  ["doubled_quotes_header.csv", plain('"the ""x"" value",label'), yes],
  ["semicolon_tie.csv", plain("a,b;c"), yes],
  ["commas_in_names.csv", plain('"a, b",label'), yes],
  ["carriage_returns.csv", plain("x,label").replaceAll("\n", "\r"), yes],
  ["inf.csv", plain("inf,label"), yes],
  ["same_names.csv", rows("x,x,y", (i) => `${value(i)},${i},${sign(i)}`), { classes: ["no", "yes"], shape: [2] }],
  ["unix_seconds.csv", rows("time,label", (i) => `${1_700_000_000 + i},${i < 20 ? "early" : "late"}`), { classes: ["early", "late"] }],
  ["tiny_scale.csv", rows("volts,label", (i) => `${value(i) * 1e-13},${sign(i)}`), yes],
  ["big_labels.csv", rows("x,code", (i) => `${value(i)},${16777216 + (i % 2)}`), { classes: ["16777216", "16777217"] }],
  ["minus_zero.csv", rows("x,y", (i) => `${value(i)},${["0", "-0", "1"][i % 3]}`), { classes: ["0", "1"] }],
  ["missing_few.csv", rows("age,x,label", (i) => `${i === 9 ? "NA" : i + 20},${value(i)},${sign(i)}`), { shape: [2] }, "1 row that lacks a value"],
  ["decimal_comma.csv", rows("a;b;c", (i) => `${i}.5;${value(i)};${sign(i)}`).replaceAll(".", ","), { shape: [2] }, "decimal points"],
  ["sep_line.csv", `sep=;\n${plain("x,label").replaceAll(",", ";")}`, yes],
  ["pipe.csv", plain("x,label").replaceAll(",", "|"), yes],
  ["blanks.csv", plain("x,label").replaceAll(",", "   "), yes],
  ["pandas_index.csv", rows(",x,label", (i) => `${i},${value(i)},${sign(i)}`), yes, "only numbers the rows"],
  ["latin1.csv", Buffer.from(rows("x,Sorte", (i) => `${value(i)},${["\u00c4pfel", "\u00d6l"][i % 2]}`), "latin1"), { classes: ["\u00c4pfel", "\u00d6l"] }, "Windows-1252"],
  ["kaggle.zip", zip([["train.csv", plain("x,label")]]), yes],
  ["dot_slash.zip", archive((i) => `./${["left", "right"][i % 2]}/${i}.png`), { classes: ["left", "right"] }],
  ["backslash.zip", archive((i) => `sides\\${["left", "right"][i % 2]}\\${i}.png`), { classes: ["left", "right"] }],
  ["utf8_noflag_nfd.zip", archive((i) => `${["A\u0308pfel", "Birnen"][i % 2]}/${i}.png`), { classes: ["Birnen", "\u00c4pfel"] }],
  ["numeric_folders.zip", archive((i) => `${i % 12}/${i}.png`), { classes: Array.from({ length: 12 }, (_, i) => `${i}`) }],
  ["exif180.zip", zip(Array.from({ length: 24 }, (_, i) => [`${["left", "right"][i % 2]}/${i}.png`, png(10, (x) => (x < 5 ? 10 : 200), 3)])), { classes: ["left", "right"] }],
  ["truncated_jpeg.zip", zip(Array.from({ length: 24 }, (_, i) => [`${["a", "b"][i % 2]}/${10 + i}.jpg`, i === 4 ? red.subarray(0, -20) : red])), { classes: ["a", "b"] }, "a/14.jpg (damaged JPEG"],
  ["pm_labels.npz", zip([["x.npy", npy("<f4", [40, 1], floats(40, value))], ["y.npy", npy("<f4", [40], floats(40, (i) => (value(i) > 0 ? 1 : -1)))]]), { classes: ["-1", "1"] }],
  ["object_extra.npz", zip([["x.npy", npy("<f4", [40, 1], floats(40, value))], ["y.npy", npy("<f4", [40], floats(40, (i) => i % 2))], ["meta.npy", npy("|O", [40], new Uint8Array(40))]]), { classes: ["0", "1"] }, "meta is left out"],
  ["bits_u8.npz", zip([["x.npy", npy("|u1", [40, 8, 8], Uint8Array.from({ length: 40 * 64 }, (_, i) => i % 2))], ["y.npy", npy("|u1", [40], Uint8Array.from({ length: 40 }, (_, i) => i % 2))]]), { shape: [1, 8, 8] }],
];

test("files as people bring them are read as they were meant, each once", async () => {
  const page = await recipe();
  for (const [name, bytes, expected, note] of brought) {
    const card = await read(page, name, bytes);
    for (const [key, wanted] of Object.entries(expected)) assert.deepEqual(card[key], wanted, `${name}: ${key}`);
    if (note) assert.ok(card.notes.some((said) => said.includes(note)), `${name} says ${card.notes}`);
    const pixels = () => Buffer.from(card.figures[0].marks[0].tiles.tiles[0].pixels, "hex");
    if (name === "bits_u8.npz") assert.equal(Math.max(...pixels()), 255);
    if (name === "exif180.zip") assert.ok(pixels()[0] > 150 && pixels()[9] < 50, "turned as viewers show it");
  }
  assert.deepEqual(page.faults, []);
  await page.context().close();
});

test("hundreds of columns are read once and train; a search finds one of them", async () => {
  const page = await recipe();
  const names = Array.from({ length: 784 }, (_, i) => `${Math.floor(i / 28) + 1}x${(i % 28) + 1}`);
  const file = rows(`label,${names}`, (i) => `${i % 2},${names.map((_, k) => (k === 391 ? 100 * (i % 2) + i : 0))}`);
  const card = await read(page, "kaggle_digits.csv", file, async (dialog, choice) => {
    assert.equal(choice.target, "label");
    await dialog.getByText("and 725 more").waitFor();
    await dialog.getByRole("searchbox", { name: "Search columns" }).fill("28x28");
    await dialog.getByLabel("28x28 is taken for").selectOption("ignored");
    await dialog.getByText("Learns from 783 columns.").waitFor();
  });
  assert.deepEqual(card.shape, [783]);
  await page.getByRole("button", { name: "Run", exact: true }).click();
  await state(page, "done", 120);
  assert.ok(losses(page).at(-1) < losses(page)[0]);
  await page.context().close();
});

test("one column is a series, and is forecast from itself", async () => {
  const page = await recipe();
  const file = `value\n${Array.from({ length: 600 }, (_, i) => Math.sin(i / 5).toFixed(6)).join("\n")}\n`;
  const card = await read(page, "univariate.csv", file, async (dialog) => {
    assert.equal(await dialog.getByRole("radio", { name: "rows follow in time" }).getAttribute("aria-checked"), "true");
  });
  assert.equal(card.content, "series");
  // What is promised comes.
  await page.getByText("What it expects against what came. Press Run.").waitFor();
  await page.getByRole("button", { name: "Run", exact: true }).click();
  await state(page, "done", 120);
  const look = await until(page, (event) => event.event === "look" && event.figures.some((figure) => figure.id === "forecast"));
  assert.match(look.figures.find((figure) => figure.id === "forecast").value, /off by/);
  await page.getByText("What it expects against what came. Press Run.").waitFor({ state: "detached" });
  await page.context().close();
});

test("a number to predict: no class is promised or complained of", async () => {
  const page = await recipe();
  const accuracy = page.locator("[data-figure=accuracy]");
  await accuracy.waitFor();
  const file = rows("size,price", (i) => `${value(i)},${(3 * value(i) + 0.25).toFixed(3)}`);
  const card = await read(page, "prices.csv", file, async (dialog) => {
    assert.equal(await dialog.getByRole("radio", { name: "each row has a number" }).getAttribute("aria-checked"), "true");
  });
  assert.deepEqual(card.classes, []);
  await page.getByText("What it expects against what is true. Press Run.").waitFor();
  for (const text of ["Cross-entropy needs classes", "Colour is the class", "Which class is taken for which"]) {
    assert.equal(await page.getByText(text).count(), 0, text);
  }
  await accuracy.waitFor({ state: "detached" });
  await page.getByRole("button", { name: "Run", exact: true }).click();
  await state(page, "done", 120);
  await until(page, (event) => event.event === "look" && event.figures.some((figure) => figure.id === "predictions"));
  assert.deepEqual(page.faults, []);
  await page.context().close();
});

test("arrays are chosen where their names leave it open", async () => {
  const page = await recipe();
  const x = npy("<f4", [40, 1], floats(40, value));
  const y = npy("<f4", [40], floats(40, (i) => (value(i) > 0 ? 1 : 0)));
  const file = zip([["x_train.npy", x], ["y_train.npy", y], ["x_test.npy", x], ["y_test.npy", y]]);
  const card = await read(page, "keras_names.npz", file, async (dialog) => {
    assert.equal(await dialog.getByRole("combobox", { name: "inputs" }).inputValue(), "x_train");
    await dialog.getByRole("combobox", { name: "inputs" }).selectOption("x_test");
    await dialog.getByRole("combobox", { name: "labels" }).selectOption("y_test");
  });
  assert.deepEqual(card.classes, ["0", "1"]);
  assert.ok(card.notes.some((note) => note.includes("x_train, y_train are left out")), card.notes.join());
  await page.context().close();
});

test("a held-out part shorter than the context is said at the control", async () => {
  const page = await visit(lab, "#lab?preset=gpt&model.width=32&model.context=150&batch.size=8&steps=10&v=1");
  await ready(page);
  await drop(page, "tiny.txt", Buffer.from("abcdefghij".repeat(100)));
  await until(page, (event) => event.event === "configured" && event.spec.data.set === "own");
  await page.getByText("150 characters held out are too few for a context of 150").first().waitFor();
  await page.context().close();
});

test("a shared link says that the other person needs the file, and takes it as the link says", async () => {
  const page = await recipe();
  const file = rows("a,b,c", (i) => `${value(i)},${i % 5},${sign(i)}`);
  await read(page, "two.csv", file, (dialog) => dialog.getByLabel("b is taken for").selectOption("category"));
  const hash = await share(page);
  await page.getByText("whoever opens it needs the file two.csv too").waitFor();
  const other = await visit(lab, hash);
  await ready(other);
  await until(other, (event) => event.event === "error", { errors: true });
  const from = other.events.length;
  await drop(other, "two.csv", Buffer.from(file));
  // Nothing is asked: the link has chosen. Both the data and the run may have missed the file before.
  const { spec } = await until(other, (event) => event.event === "configured", { from, errors: true });
  assert.equal(spec.data.kinds, "b=category");
  assert.equal(await other.getByRole("dialog").count(), 0);
  await other.getByRole("button", { name: "Run", exact: true }).click();
  await state(other, "done", 120);
  await other.context().close();
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
