// What a person takes along: numbers, charts and weights as files, each read back and compared with what was trained.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { after, before, describe, test } from "node:test";
import { parquetMetadata, parquetReadObjects } from "hyparquet";
import { events, unzip } from "./files.mjs";
import { choose, drop, losses, open, ready, state, until, visit } from "./harness.mjs";

const STEPS = 60;
const LINK = `#lab?preset=mlp&batch.size=32&steps=${STEPS}&probes.evaluate=20&probes.look=0&probes.curvature=0&v=1`;

let lab;
// On the CPU, on which an evaluation has the same bits whenever it is made.
before(async () => (lab = await open({ webgpu: false })));
after(() => lab.close());

const press = (page, name) => page.getByRole("button", { name, exact: true }).click();
const evaluated = (page) => page.events.filter((event) => event.event === "evaluated");
const actions = (page) => page.locator("tr[aria-selected=true]").getByRole("button", { name: /^Actions for/ });

const menuOf = (page, figure) => page.locator(`[data-figure='${figure}']`).getByRole("button", { name: "Figure menu" });

/** The bytes and the name of the file that choosing an entry saves. */
async function saved(page, button, entry) {
  const [download] = await Promise.all([page.waitForEvent("download"), choose(page, button, entry)]);
  return { name: download.suggestedFilename(), bytes: await readFile(await download.path()) };
}

/** A CSV without quotes as a list of rows; lines that begin with # are remarks. */
function table(bytes) {
  const lines = bytes.toString().trim().split("\n");
  const remarks = lines.filter((line) => line.startsWith("#"));
  const [head, ...rows] = lines.slice(remarks.length).map((line) => line.split(","));
  return { remarks, head, rows, column: (name) => rows.map((row) => row[head.indexOf(name)]).map((cell) => (cell === "" ? NaN : Number(cell))) };
}

/** Name and values of each tensor, and the metadata; throws where header and sizes do not agree. */
function tensors(bytes) {
  const length = Number(bytes.readBigUInt64LE(0));
  const { __metadata__: metadata, ...entries } = JSON.parse(bytes.subarray(8, 8 + length).toString());
  const data = bytes.subarray(8 + length);
  let end = 0;
  const all = Object.entries(entries).sort(([, a], [, b]) => a.data_offsets[0] - b.data_offsets[0]);
  for (const [name, { dtype, shape, data_offsets }] of all) {
    assert.equal(dtype, "F32");
    assert.equal(data_offsets[0], end, `${name} leaves a gap`);
    end = data_offsets[1];
    assert.equal(end - data_offsets[0], 4 * shape.reduce((product, size) => product * size, 1), name);
  }
  assert.equal(data.length, end);
  // The optimizer's moments are beside the parameters, as `adam.m/` and the parameter's name.
  const [moments, own] = [true, false].map((moment) => all.filter(([name]) => name.includes("/") === moment));
  const numbers = ([, { data_offsets }]) => [...new Float32Array(Uint8Array.from(data.subarray(...data_offsets)).buffer)];
  return { metadata, values: new Float32Array(own.flatMap(numbers)), names: own.map(([name]) => name), moments };
}

describe("a trained run", () => {
  let page, configured;
  before(async () => {
    page = await visit(lab, LINK);
    await ready(page);
    configured = await until(page, (event) => event.event === "configured");
    await press(page, "Run");
    await state(page, "done");
  });
  after(async () => {
    assert.deepEqual(page.faults, []);
    await page.context().close();
  });

  test("as CSV", async () => {
    const { name, bytes } = await saved(page, actions(page), "Save numbers as CSV");
    assert.match(name, /\.csv$/);
    const { remarks, head, rows, column } = table(bytes);
    assert.match(remarks.join(), /^# Minibatch \d\S*, seed \d+, http\S+#lab\?\S*steps=60\S*$/);
    assert.deepEqual(head, ["step", "loss", "accuracy", "lr", "batch", "grad_norm", "step_ms", "host_ms", "momentum", "test_loss", "test_accuracy"]);
    // A row an update, and one for what was measured after the last.
    assert.deepEqual(column("step"), Array.from({ length: STEPS + 1 }, (_, step) => step));
    assert.ok(rows.every((row) => row.length === head.length));
    assert.deepEqual(column("loss").map(Math.fround), [...losses(page).map(Math.fround), NaN]);
    assert.ok(column("batch").slice(0, STEPS).every((batch) => batch === 32));
    const test = column("test_loss").flatMap((loss, step) => (Number.isNaN(loss) ? [] : [[step, loss]]));
    assert.deepEqual(test.map(([step]) => step), [20, 40, 60]);
    // The page reads numbers to the last place but one.
    evaluated(page).forEach(({ loss }, i) => assert.ok(Math.abs(test[i][1] - loss) <= 1e-15 * loss, `${test[i]} for ${loss}`));
  });

  test("as JSON, which opens as the same run elsewhere", async () => {
    const { name, bytes } = await saved(page, actions(page), "Save as JSON");
    assert.match(name, /\.json$/);
    const run = JSON.parse(bytes);
    assert.deepEqual(run.spec, configured.spec);
    assert.deepEqual(run.steps.loss.map(Math.fround), losses(page).map(Math.fround));
    assert.deepEqual(run.evaluations.map(({ step, accuracy }) => [step, accuracy]), evaluated(page).map(({ step, accuracy }) => [step, accuracy]));

    const elsewhere = await visit(lab, "#lab?preset=spirals&v=1");
    await ready(elsewhere);
    await drop(elsewhere, name, bytes);
    const row = elsewhere.locator("tr[data-run][aria-selected=false]");
    await row.waitFor();
    assert.equal(await row.locator("td").nth(4).innerText(), String(STEPS));
    assert.deepEqual(elsewhere.faults, []);
    await elsewhere.context().close();
  });

  test("as Parquet", async () => {
    const { name, bytes } = await saved(page, actions(page), "Save numbers as Parquet");
    assert.match(name, /^run-\d+-.*\.parquet$/);
    const file = Uint8Array.from(bytes).buffer;
    const about = new Map(parquetMetadata(file).key_value_metadata.map(({ key, value }) => [key, value]));
    assert.match(about.get("minibatch.link"), /^http\S+#lab\?\S*steps=60\S*$/);
    assert.match(about.get("minibatch.version"), /^\d+\.\d+\.\d+$/);
    assert.deepEqual(JSON.parse(about.get("minibatch.spec")), configured.spec);
    assert.equal(about.get("minibatch.seed"), String(configured.spec.seed));
    const rows = await parquetReadObjects({ file });
    assert.deepEqual(rows.map(({ step }) => Number(step)), Array.from({ length: STEPS + 1 }, (_, step) => step));
    assert.deepEqual(rows.map(({ loss }) => loss), [...losses(page).map(Math.fround), null]);
    assert.ok(rows.slice(0, STEPS).every(({ batch, lr, grad_norm }) => batch === 32 && lr >= 0 && grad_norm > 0) && rows[0].lr > 0);
    const told = rows.filter(({ test_loss }) => test_loss !== null);
    assert.deepEqual(told.map(({ step }) => Number(step)), [20, 40, 60]);
    // The page reads numbers to the last place but one.
    evaluated(page).forEach(({ loss }, i) => assert.ok(Math.abs(told[i].test_loss - loss) <= 1e-15 * loss, `${told[i].test_loss} for ${loss}`));
  });

  test("for TensorBoard", async () => {
    const now = Date.now() / 1000;
    const { name, bytes } = await saved(page, actions(page), "Save for TensorBoard");
    assert.match(name, /^run-\d+-.*-tensorboard\.zip$/);
    const [[path, file]] = unzip(bytes);
    assert.equal(path, `${name.replace("-tensorboard.zip", "")}/events.out.tfevents.minibatch`);
    const { scalars, texts } = events(file);
    const [version, about] = texts;
    assert.equal(version, "brain.Event:2");
    assert.match(about, /link: `http\S+#lab\?\S*steps=60\S*`/);
    const told = (tag) => scalars.filter((scalar) => scalar.tag === tag);
    assert.deepEqual(told("loss/train").map(({ step, value }) => [step, value]), losses(page).map((loss, step) => [step, Math.fround(loss)]));
    assert.deepEqual(told("loss/test").map(({ step, value }) => [step, value]), evaluated(page).map(({ step, loss }) => [step, Math.fround(loss)]));
    for (const tag of ["accuracy/train", "accuracy/test", "learning_rate", "batch_size", "gradient_norm"]) assert.ok(told(tag).length > 0, tag);
    const seconds = scalars.map((scalar) => scalar.seconds);
    assert.ok(seconds.every((second, i) => second <= now && second > now - 120 && second >= (seconds[i - 1] ?? 0)), `${seconds}`);
  });

  test("its loss as PNG", async () => {
    const { name, bytes } = await saved(page, menuOf(page, "loss"), "Save as PNG");
    assert.match(name, /\.png$/);
    assert.equal(bytes.subarray(0, 8).toString("latin1"), "\x89PNG\r\n\x1a\n");
    const picture = await page.evaluate(async (bytes) => {
      const bitmap = await createImageBitmap(new Blob([new Uint8Array(bytes)], { type: "image/png" }));
      const canvas = new OffscreenCanvas(bitmap.width, bitmap.height);
      const context = canvas.getContext("2d");
      context.drawImage(bitmap, 0, 0);
      const { data } = context.getImageData(0, 0, bitmap.width, bitmap.height);
      const tone = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
      // How often the colours of the two lines occur.
      const count = (css) => {
        context.fillStyle = css;
        context.fillRect(0, 0, 1, 1);
        const [r, g, b] = context.getImageData(0, 0, 1, 1).data;
        let count = 0;
        for (let i = 0; i < data.length; i += 4) if (data[i] === r && data[i + 1] === g && data[i + 2] === b) count++;
        return count;
      };
      return { width: bitmap.width, height: bitmap.height, train: count(tone("--c-train")), test: count(tone("--c-test")) };
    }, [...bytes]);
    assert.equal(picture.width, 1440);
    assert.ok(picture.height > 400, `${picture.height} pixels high`);
    assert.ok(picture.train > 500 && picture.test > 500, `${picture.train} pixels of the training loss, ${picture.test} of the test loss`);
  });

  test("its loss as SVG", async () => {
    const { name, bytes } = await saved(page, menuOf(page, "loss"), "Save as SVG");
    assert.match(name, /\.svg$/);
    const drawing = await page.evaluate((text) => {
      const parsed = new DOMParser().parseFromString(text, "image/svg+xml");
      const root = parsed.documentElement;
      return {
        errors: parsed.querySelectorAll("parsererror").length,
        root: root.localName,
        size: [Number(root.getAttribute("width")), Number(root.getAttribute("height"))],
        words: [...root.querySelectorAll("text")].map((text) => text.textContent),
        longest: Math.max(...[...root.querySelectorAll("path")].map((path) => path.getAttribute("d").split(/[ML]/).length - 1)),
      };
    }, bytes.toString());
    assert.equal(drawing.errors, 0);
    assert.equal(drawing.root, "svg");
    assert.ok(drawing.size.every((side) => side > 200), `${drawing.size}`);
    for (const word of ["Loss", "train", "test", "step"]) assert.ok(drawing.words.includes(word), `${word} is not among ${drawing.words}`);
    assert.equal(drawing.longest, STEPS, "the training loss has a point a step");
  });

  test("a figure from its own menu", async () => {
    const { name, bytes } = await saved(page, menuOf(page, "learning-rate"), "Save numbers as CSV");
    assert.equal(name, "learning-rate.csv");
    const { head, rows, column } = table(bytes);
    assert.deepEqual(head, ["series", "x", "y", "low", "high"]);
    assert.ok(rows.length >= STEPS);
    const told = page.events.filter((event) => event.event === "metrics").flatMap((event) => event.lr.map((lr, i) => [event.first_step + i, lr]));
    const drawn = new Map(column("x").map((x, i) => [x, column("y")[i]]));
    for (const [step, lr] of told) assert.ok(Math.abs(drawn.get(step) - lr) <= 1e-6 * lr, `${drawn.get(step)} is drawn at step ${step} for ${lr}`);
  });

  test("as scripts for other frameworks, with what they read", async () => {
    for (const [entry, kind, script, says] of [
      ["Save as PyTorch script", "torch", "run.py", /^import torch$/m],
      ["Save as JAX script", "jax", "run_jax.py", /^import jax$/m],
      ["Save as burn program", "burn", "main.rs", /^use burn::/m],
    ]) {
      const { name, bytes } = await saved(page, actions(page), entry);
      assert.equal(name, `run-${configured.run}-${kind}.zip`);
      const files = unzip(bytes);
      assert.match(files.get(script).toString(), says);
      // The lab's own parameters, and nothing that is not said.
      assert.equal(tensors(files.get("start.safetensors")).values.length, configured.summary.parameters);
      assert.ok(files.has("data.safetensors"));
    }
  });

  test("not as a script where none can repeat it, which is said", async () => {
    const other = await visit(lab, "#lab?preset=mlp&steps=5&optimizer=soap&v=1");
    await ready(other);
    await choose(other, actions(other), "Save as PyTorch script");
    await other.locator(".toast").filter({ hasText: "cannot be written as a script for PyTorch" }).waitFor();
    assert.deepEqual(other.faults, []);
    await other.context().close();
  });

  test("its weights as .npz", async () => {
    const { name, bytes } = await saved(page, actions(page), "Save weights as .npz");
    assert.match(name, /\.npz$/);
    const archive = bytes.toString("latin1");
    const { names } = tensors((await saved(page, actions(page), "Save weights as safetensors")).bytes);
    assert.equal(archive.split("PK\x03\x04").length - 1, names.length);
    for (const tensor of names) assert.ok(archive.includes(`${tensor}.npy`), tensor);
  });

  test("its weights as safetensors, which make a fresh run what this one is", async () => {
    const { name, bytes } = await saved(page, actions(page), "Save weights as safetensors");
    assert.match(name, /\.safetensors$/);
    const { metadata, values, names, moments } = tensors(bytes);
    assert.equal(moments.length, 2 * names.length);
    assert.equal(values.length, configured.summary.parameters);
    assert.deepEqual(JSON.parse(metadata["minibatch.spec"]), configured.spec);

    // Another seed: other initial weights and batches, the same network and test set.
    const fresh = await visit(lab, LINK.replace("&v=1", "&seed=2&v=1"));
    await ready(fresh);
    await until(fresh, (event) => event.event === "configured");
    await fresh.locator("input[type=file]").first().setInputFiles({ name, mimeType: "application/octet-stream", buffer: bytes });
    const again = await until(fresh, (event) => event.event === "evaluated");
    const { loss, accuracy } = evaluated(page).at(-1);
    assert.deepEqual([again.loss, again.accuracy], [loss, accuracy]);
    const back = await saved(fresh, actions(fresh), "Save weights as safetensors");
    assert.deepEqual(tensors(back.bytes).values, values);
    // And it trains on from there.
    await press(fresh, "Run");
    await state(fresh, "done");
    assert.ok(losses(fresh)[0] < 0.5 * losses(page)[0], `the first loss is ${losses(fresh)[0]}`);
    assert.deepEqual(fresh.faults, []);
    await fresh.context().close();
  });

  test("weights of another shape are refused and the run goes on", async () => {
    const { name, bytes } = await saved(page, actions(page), "Save weights as safetensors");
    const other = await visit(lab, "#lab?preset=mlp&model.hidden=64,48&steps=200000&v=1");
    await ready(other);
    await press(other, "Run");
    await until(other, (event) => event.event === "metrics");
    await drop(other, name, bytes);
    const said = other.locator(".toast.bad");
    await said.waitFor();
    // Which tensor, what it is, what it should be.
    assert.match(await said.innerText(), /\w+.*\[64, 32\].*needs.*\[64, 48\]/);
    const from = other.events.length;
    await until(other, (event) => event.event === "metrics", { from, errors: true });
    assert.equal(await other.getByRole("toolbar", { name: "Transport" }).getAttribute("data-state"), "running");
    assert.deepEqual(other.faults, []);
    await other.context().close();
  });
});
