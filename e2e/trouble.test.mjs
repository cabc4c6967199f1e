// Bad links, bad files, no adapter, a lost device, a loss that is no number: each gets a clear message, and the page
// stays whole.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { losses, open, ready, send, state, until, visit } from "./harness.mjs";

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
  const text = (string) => [...Buffer.from(string)];
  const files = {
    "an empty table": ["empty.csv", []],
    "a ragged table": ["ragged.csv", text("a,b,c\n1,2,x\n3,y\n")],
    "a table that is no text": ["bytes.csv", [0xff, 0xfe, 0x00, 0x01, 0x80]],
    "an archive that is none": ["broken.zip", text("PK\x03\x04 not really")],
    "arrays that are none": ["broken.npz", text("nonsense")],
    "weights that lie about their size": ["w.safetensors", [255, 255, 255, 255, 255, 255, 255, 127, 123]],
    "a run that is none": ["run.json", text("{")],
  };
  for (const [what, [name, bytes]] of Object.entries(files)) {
    test(what, async () => {
      const page = await visit(lab, "#lab?steps=5000&v=1");
      await ready(page);
      await page.getByRole("button", { name: "Run", exact: true }).click();
      await until(page, (event) => event.event === "metrics");
      await drop(page, name, bytes);
      const columns = page.getByRole("dialog").getByRole("button", { name: "Read it" });
      const bad = page.locator(".toast.bad");
      await columns.or(bad).first().waitFor();
      if (await columns.isVisible()) await columns.click();
      await bad.first().waitFor();
      const message = await bad.first().innerText();
      assert.ok(message.length > 10, message);
      // The run that was going on goes on.
      const from = page.events.length;
      await until(page, (event) => event.event === "metrics", { from, errors: true });
      assert.deepEqual(page.faults, []);
      await page.context().close();
    });
  }

  test("a good table trains", async () => {
    const page = await visit(lab, "#lab?preset=mlp&steps=60&v=1");
    await ready(page);
    const rows = Array.from({ length: 90 }, (_, i) => `${Math.sin(i)},${Math.cos(i)},${(i * 7) % 13},${"abc"[i % 3]}`);
    await drop(page, "own.csv", text(`x,y,z,kind\n${rows.join("\n")}\n`));
    await page.getByRole("dialog").getByRole("button", { name: "Read it" }).click();
    await until(page, (event) => event.event === "imported");
    await until(page, (event) => event.event === "configured" && event.spec.data.set === "own");
    await page.getByRole("button", { name: "Run", exact: true }).click();
    await state(page, "done");
    assert.equal(losses(page).length, 60);
    assert.deepEqual(page.faults, []);
    await page.context().close();
  });
});

/** Drops a file on the page, as a person would. */
async function drop(page, name, bytes) {
  const transfer = await page.evaluateHandle(
    ([name, bytes]) => {
      const transfer = new DataTransfer();
      transfer.items.add(new File([new Uint8Array(bytes)], name));
      return transfer;
    },
    [name, bytes],
  );
  await page.dispatchEvent("body", "drop", { dataTransfer: transfer });
}

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
