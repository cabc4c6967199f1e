// Files that people reported, where they are beside the project: each comes through the page's own door and is read as it was
// meant. What is made here of every kind is in own-data.test.mjs.
import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { after, before, test } from "node:test";
import { drop, open, ready, state, until, visit } from "./harness.mjs";

const FOLDER = new URL("../../shared/reports/", import.meta.url);
const skip = !existsSync(FOLDER) && "the reported files are not here";
const LINK = "#lab?preset=mlp&steps=300&batch.size=8&probes.look=0&probes.curvature=0&v=1";

let lab;
before(async () => (lab = skip ? undefined : await open({ webgpu: false })));
after(() => lab?.close());

/** What the card or its notes must say of each file; `accuracy` is what training on it reaches, in percent. */
const REPORTED = {
  "kaggle_digits.csv": {},
  "headerless.csv": { classes: 3 },
  "newline_in_header.csv": {},
  "doubled_quotes_header.csv": {},
  "semicolon_tie.csv": { accuracy: 100 },
  "univariate.csv": { content: "series" },
  "unix_seconds.csv": { accuracy: 100 },
  "tiny_scale.csv": { accuracy: 100 },
  "big_labels.csv": { classes: 2 },
  "exif180.zip": { accuracy: 100 },
  "dot_slash.zip": {},
  "backslash.zip": {},
  "utf8_noflag_nfd.zip": { named: "\u00c4pfel" },
  "decimal_comma.csv": { note: /decimal/ },
  "missing_few.csv": { note: /lack/ },
  "keras_names.npz": { note: /left out/ },
  "pm_labels.npz": { classes: 2 },
  "object_extra.npz": { note: /left out/ },
  "truncated_jpeg.zip": { note: /cut short/ },
  "bits_u8.npz": {},
  "numeric_folders.zip": { named: "10" },
  "sep_line.csv": {},
  "pipe.csv": {},
  "pandas_index.csv": { note: /numbers the rows/ },
  "kaggle.zip": {},
  "minus_zero.csv": { without: "-0" },
};

test("each is read once and as it was meant, and trains", { skip }, async () => {
  for (const [name, wanted] of Object.entries(REPORTED)) {
    const page = await visit(lab, LINK);
    await ready(page);
    await until(page, (event) => event.event === "configured");
    await drop(page, name, readFileSync(new URL(name, FOLDER)));
    const first = await until(page, (event) => ["data_asked", "data_imported", "error"].includes(event.event), { errors: true });
    assert.notEqual(first.event, "error", `${name}: ${JSON.stringify(first)}`);
    if (first.event === "data_asked") await page.getByRole("dialog").getByRole("button", { name: "Read it" }).click();
    const { card } = await until(page, (event) => event.event === "data_imported");
    const notes = card.notes.join(" ");
    if (wanted.note) assert.match(notes, wanted.note, name);
    if (wanted.classes) assert.equal(card.classes.length, wanted.classes, `${name}: ${card.classes}`);
    if (wanted.content) assert.equal(card.content, wanted.content, name);
    if (wanted.named) assert.ok(card.classes.includes(wanted.named), `${name}: ${card.classes}`);
    if (wanted.without) assert.ok(!card.classes.includes(wanted.without), `${name}: ${card.classes}`);
    await until(page, (event) => event.event === "configured" && event.spec.data.set === "own");
    await page.getByRole("button", { name: "Run", exact: true }).click();
    await state(page, "done", 120);
    assert.equal(page.events.filter((event) => event.event === "data_imported").length, 1, `${name} is read once`);
    const { loss, accuracy } = page.events.findLast((event) => event.event === "evaluated");
    assert.ok(Number.isFinite(loss), name);
    if (wanted.accuracy) assert.equal(100 * accuracy, wanted.accuracy, name);
    assert.deepEqual(page.faults, [], name);
    await page.context().close();
  }
});

test("the largest eigenvalue is found where negative curvature dominates", { skip }, async () => {
  const page = await visit(lab, "#lab?preset=tanh-mlp&model.hidden=3&steps=30&batch.size=20&probes.curvature=0&v=1");
  await ready(page);
  await drop(page, "small.csv", readFileSync(new URL("small.csv", FOLDER)));
  await page.getByRole("dialog").getByRole("button", { name: "Read it" }).click();
  await until(page, (event) => event.event === "configured" && event.spec.data.set === "own");
  const from = page.events.length;
  await drop(page, "negative.safetensors", readFileSync(new URL("negative.safetensors", FOLDER)));
  await until(page, (event) => event.event === "evaluated", { from });
  await page.getByRole("button", { name: "Find LR" }).click();
  const { figure } = await until(page, (event) => event.event === "rate_test" && event.ended, { from });
  assert.match(figure.meaning, /stable up to 2\/λ1 = 92\.\d, λ1 = 0\.0217 /);
  await page.context().close();
});
