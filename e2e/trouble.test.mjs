// Bad links, bad files, no adapter, a lost device, a loss that is no number: each gets a clear message, and the page
// stays whole.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { npy, png, zip } from "./files.mjs";
import { drop, engines, losses, open, ready, send, state, until, visit } from "./harness.mjs";

let lab;
before(async () => (lab = await open()));
after(() => lab.close());

/** The lab works: its engine stands and a step can be done. */
async function works(page) {
  await ready(page);
  await until(page, (event) => event.event === "configured");
  const from = page.events.length;
  await page.keyboard.press("s");
  await until(page, (event) => event.event === "metrics", { from, errors: true });
  assert.deepEqual(page.faults, []);
}

describe("links", () => {
  const links = {
    "an unknown key": ["#lab?preset=mlp&model.colour=red&v=1", /model\.colour/],
    "a value out of range": ["#lab?preset=mlp&batch.size=-3&v=1", /batch/i],
    "a value that is no number": ["#lab?preset=mlp&schedule.peak=fast&v=1", /number/i],
    "a truncated link": ["#lab?preset=mlp&model.hid", /model\.hid/],
    "an unknown version": ["#lab?preset=mlp&v=99", /version|newer|99/i],
    "an unknown page": ["#nowhere", /nowhere/],
    "broken escapes": ["#lab?preset=%E0%A4%A&%", /./],
    "a link of a megabyte": [`#lab?preset=${"x".repeat(1 << 20)}`, /are not read/],
  };
  for (const [what, [link, words]] of Object.entries(links)) {
    test(what, async () => {
      const page = await visit(lab, link);
      const said = page.locator(".link-issues, .problem").filter({ hasText: words }).first();
      await said.waitFor();
      await works(page);
      await page.context().close();
    });
  }
});

describe("files", () => {
  const text = (string) => Buffer.from(string);
  const dot = png(8, (x, y) => 30 * ((x + y) % 2));
  const pictures = ["a", "b"].flatMap((kind) => Array.from({ length: 8 }, (_, i) => [`${kind}/${i}.png`, dot]));
  const [x, y] = [npy("<f4", [20, 2], new Float32Array(40)), npy("<i4", [20], new Int32Array(20))];
  // What is dropped, and what the message must name: the file and, within it, line, column, entry or tensor.
  const files = {
    "an empty table": ["empty.csv", [], /empty\.csv: is empty/],
    "a ragged table": ["ragged.csv", text("a,b,c\n1,2,x\n3,y\n"), /ragged\.csv, line 3: has 2 cells, where line 1 has 3/],
    "a table with too large a number": [
      "large.csv",
      text(`a,b\n${"1,x\n2,y\n".repeat(10)}1e99,x\n`),
      /large\.csv, line 22, column a: "1e99" is not a finite number/,
    ],
    "a table with one class": ["one.csv", text(`a,b\n${"1.5,x\n2.5,x\n".repeat(10)}`), /one\.csv, column b: has only one class/],
    "a table that is no text": ["bytes.csv", [0xff, 0xfe, 0x00, 0x01, 0x80], /bytes\.csv, line 1: byte 0xff is not UTF-8/],
    "an archive that is none": ["broken.zip", text("PK\x03\x04 not really"), /broken\.zip: is not a readable zip archive/],
    "an archive with many damaged pictures": [
      "pets.zip",
      zip([...pictures, ...[8, 9].map((i) => [`b/${i}.png`, dot.subarray(0, 40)])]),
      /pets\.zip, entry b\/8\.png: damaged PNG/,
    ],
    "an archive with a picture outside of a folder": ["pets.zip", zip([...pictures, ["9.png", dot]]), /pets\.zip, entry 9\.png: is not in a folder/],
    "arrays that are none": ["broken.npz", text("nonsense"), /broken\.npz: is not a readable zip archive/],
    "an array that is cut short": ["short.npz", zip([["x.npy", x.subarray(0, -8)], ["y.npy", y]]), /short\.npz: .*x \(it claims shape \[20, 2\]/],
    "a text that is too short": ["short.txt", text("to be"), /short\.txt: has 5 characters; at least 1000 are needed/],
    "a text that is none": ["bytes.txt", Buffer.from("one\ntwo\nna\xef\0ve", "latin1"), /bytes\.txt, line 3: byte 0xef is not UTF-8/],
    "weights that lie about their size": ["w.safetensors", [255, 255, 255, 255, 255, 255, 255, 127, 123], /\w{10}/],
    "a run that is none": ["run.json", text("{"), /run\.json/],
    "JSON of something else": ["package.json", text('{"name": "x"}'), /package\.json: This JSON holds no part of a recipe/],
  };
  for (const [what, [name, bytes, words]] of Object.entries(files)) {
    test(what, async () => {
      const page = await visit(lab, "#lab?preset=mlp&steps=1000000&v=1");
      await ready(page, "cpu");
      await page.getByRole("button", { name: "Run", exact: true }).click();
      await until(page, (event) => event.event === "metrics");
      await drop(page, name, bytes);
      const columns = page.getByRole("dialog").getByRole("button", { name: "Read it" });
      // What a person has chosen is refused where they chose it.
      const bad = page.locator(".toast.bad, dialog [role=alert]");
      await columns.or(bad).first().waitFor();
      if (await columns.isVisible()) await columns.click();
      await bad.first().waitFor();
      assert.match(await bad.first().innerText(), words);
      // The run that was going on goes on.
      const from = page.events.length;
      await until(page, (event) => event.event === "metrics", { from, errors: true });
      await state(page, "running");
      assert.deepEqual(page.faults, []);
      await page.context().close();
    });
  }
});

test("a loss that is no number stops the run and names the tensor", async () => {
  const page = await visit(lab, "#lab?preset=mlp&optimizer=sgd&schedule.peak=1e6&schedule.warmup=0&v=1");
  await ready(page);
  await page.getByRole("button", { name: "Run", exact: true }).click();
  const event = await until(page, (event) => event.event === "non_finite");
  assert.ok(event.tensor.length > 0);
  await state(page, "failed");
  await page.getByRole("alert").filter({ hasText: event.tensor }).waitFor();
  assert.deepEqual(page.faults, []);
  await page.context().close();
});

test("a worker that ends without a word is replaced", async () => {
  const page = await visit(lab, "#lab?preset=mlp&steps=1000000&v=1");
  await ready(page, "cpu");
  await page.getByRole("button", { name: "Run", exact: true }).click();
  await until(page, (event) => event.event === "checkpoint" && event.step > 0);
  const from = page.events.length;
  await engines(page)[0].evaluate(() => self.close());
  await page.locator(".banner").filter({ hasText: /ended without a word.*back at step \d+/ }).waitFor();
  // It says paused, not running for ever, and goes on when asked.
  await state(page, "paused");
  await until(page, (event) => event.event === "configured", { from });
  await page.getByRole("button", { name: "Go on", exact: true }).click();
  await until(page, (event) => event.event === "metrics" && event.first_step > 0, { from });
  await page.context().close();
});

test("a worker that lives and says nothing for half a minute is told of, until it speaks again", async () => {
  const context = await lab.browser.newContext({ serviceWorkers: "block" });
  await context.clock.install();
  const page = await visit(lab, "#lab?preset=mlp&steps=1000000&v=1", { context });
  await ready(page, "cpu");
  await page.getByRole("button", { name: "Run", exact: true }).click();
  await until(page, (event) => event.event === "metrics");
  const banner = page.locator(".banner").filter({ hasText: "said nothing for half a minute" });
  assert.equal(await banner.count(), 0);
  const busy = engines(page)[0].evaluate(() => {
    for (const end = Date.now() + 20_000; Date.now() < end; );
  });
  // What it had said until then has arrived: on a busy machine that may be after the clock was run on, and end the silence.
  for (let heard = -1; heard !== page.events.length; await sleep(1000)) heard = page.events.length;
  // The page's half minute, while the worker computes for some seconds.
  await page.clock.runFor(35_000);
  await banner.waitFor();
  await busy;
  await banner.waitFor({ state: "hidden" });
  assert.deepEqual(page.faults, []);
  await context.close();
});

describe("a page that cannot start", () => {
  const broken = {
    "its program does not arrive": [(page) => page.route(/app.*\.wasm$/, (route) => route.abort()), /did not arrive/],
    "its program is another file": [
      (page) => page.route(/app.*\.wasm$/, (route) => route.fulfill({ status: 404, body: "not here" })),
      /did not arrive/,
    ],
    "a module throws": [
      (page) => page.route(/js\/chart\.js$/, (route) => route.fulfill({ contentType: "text/javascript", body: "throw new RangeError('made up'); export const Chart = 0;" })),
      /made up/,
    ],
  };
  for (const [what, [breaks, words]] of Object.entries(broken)) {
    test(`says so when ${what}`, async () => {
      const page = await (await lab.browser.newContext({ serviceWorkers: "block" })).newPage();
      await breaks(page);
      await page.goto(lab.url);
      const box = page.getByRole("alert");
      await box.waitFor();
      assert.match(await box.innerText(), /could not start/);
      assert.match(await box.innerText(), words);
      await box.getByRole("button", { name: "Load again" }).waitFor();
      await page.context().close();
    });
  }
});

test("a browser whose language is none shows the lab all the same", async () => {
  const context = await lab.browser.newContext({ serviceWorkers: "block" });
  await context.addInitScript(() => Object.defineProperty(Navigator.prototype, "language", { get: () => "C", configurable: true }));
  const page = await visit(lab, "", { context });
  await ready(page);
  await page.locator('[data-figure="loss"] canvas').waitFor();
  assert.deepEqual(page.faults, []);
  await context.close();
});

/** How many figures have anything drawn on their canvases, of those that are in sight. */
const drawn = (page) =>
  page.evaluate(() => {
    const inked = (canvas) => {
      const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
      return data.some((value, i) => i % 4 === 3 && value > 0);
    };
    const seen = [...document.querySelectorAll(".figure canvas")].filter((canvas) => {
      const { top, bottom, width } = canvas.getBoundingClientRect();
      return width > 0 && bottom > 0 && top < innerHeight;
    });
    return [seen.filter(inked).length, seen.length];
  });

test("charts are drawn again when the browser has lost what was on them", async () => {
  const page = await visit(lab, "#lab?preset=spirals&steps=60&v=1");
  await ready(page, "cpu");
  await page.getByRole("button", { name: "Run", exact: true }).click();
  await state(page, "done");
  await page.waitForTimeout(1500);
  const [before, all] = await drawn(page);
  assert.ok(before > 4 && before === all, `${before} of ${all} are drawn`);
  // As after a crash of the GPU process: canvases are empty, their settings gone, and then they are said to be restored.
  await page.evaluate(() => {
    for (const canvas of document.querySelectorAll(".figure canvas")) {
      canvas.getContext("2d").reset();
      canvas.dispatchEvent(new Event("contextrestored"));
    }
  });
  await page.waitForTimeout(500);
  assert.deepEqual(await drawn(page), [all, all]);
  assert.deepEqual(page.faults, []);
  await page.context().close();
});

test("a run that diverges says so, and what would help", async () => {
  const page = await visit(lab, "#lab?preset=mlp&optimizer=sgd&schedule=constant&schedule.peak=500&schedule.warmup=0&optimizer.clip=1&steps=40&v=1");
  await ready(page, "cpu");
  await page.getByRole("button", { name: "Run", exact: true }).click();
  const finding = page.locator('[data-finding="diverged"]');
  await finding.waitFor();
  assert.match(await finding.innerText(), /Diverged at step \d+: .*Find LR/);
  await page.context().close();
});

test("a model that is too large says why it does not run, also when Run is pressed", async () => {
  const page = await visit(lab, `#lab?preset=mlp&model.hidden=${Array(8).fill(4096)}&v=1`);
  await ready(page, "cpu");
  const first = await until(page, (event) => event.event === "error", { errors: true });
  const from = page.events.length;
  await page.getByRole("button", { name: "Run", exact: true }).click();
  const second = await until(page, (event) => event.event === "error", { from, errors: true });
  assert.match(first.message, /at most/);
  assert.equal(second.message, first.message);
  await page.context().close();
});

test("a lost device is replaced and the run ends with the same numbers", async () => {
  const link = "#lab?preset=mlp&batch.size=32&steps=60&v=1";
  const run = async (disturb) => {
    const page = await visit(lab, link);
    await ready(page, "webgpu");
    await page.getByRole("button", { name: "Run", exact: true }).click();
    if (disturb) {
      await until(page, (event) => event.event === "metrics" && event.first_step + event.loss.length > 10);
      await send(page, "lose_device");
      await until(page, (event) => event.event === "device_lost");
      await page.locator(".banner").filter({ hasText: /device was lost/i }).waitFor();
    }
    await state(page, "done", 120);
    assert.deepEqual(page.faults, []);
    const numbers = losses(page);
    await page.context().close();
    return numbers;
  };
  assert.deepEqual(await run(true), await run(false));
});
