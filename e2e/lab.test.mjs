// From a link to a trained network, on both executors; the same numbers again after a pause, a rewind and a closed tab.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { losses, open, ready, state, transport, until, visit } from "./harness.mjs";

// Long enough to be stopped on the way.
const STEPS = { cpu: 3000, webgpu: 80 };
/** What the page's database keeps of a run in one of its stores. */
const kept = (page, store, run) =>
  page.evaluate(
    ([store, run]) =>
      new Promise((done, failed) => {
        const opening = indexedDB.open("minibatch");
        opening.onerror = () => failed(opening.error);
        opening.onsuccess = () => {
          const reading = opening.result.transaction(store).objectStore(store).get(run);
          reading.onerror = () => failed(reading.error);
          reading.onsuccess = () => {
            opening.result.close();
            done(reading.result && { step: reading.result.step });
          };
        };
      }),
    [store, run],
  );

const link = (steps) => `#lab?preset=mlp&batch.size=32&steps=${steps}&probes.evaluate=20&v=1`;

let lab;
before(async () => (lab = await open()));
after(() => lab.close());

for (const [backend, steps] of Object.entries(STEPS)) {
  describe(backend, () => {
    let first;

    test("a link trains", async () => {
      const page = await visit(lab, link(steps));
      await ready(page, backend);
      await page.getByRole("button", { name: "Run", exact: true }).click();
      await state(page, "done", 120);
      first = losses(page);
      assert.equal(first.length, steps);
      const mean = (part) => part.reduce((a, b) => a + b, 0) / part.length;
      assert.ok(mean(first.slice(-10)) < 0.7 * mean(first.slice(0, 10)), `the loss does not fall: ${first}`);
      const { accuracy } = page.events.findLast((event) => event.event === "evaluated");
      assert.ok(accuracy > 0.5, `test accuracy ${accuracy}`);
      assert.deepEqual(page.faults, []);
      await page.context().close();
    });

    test("steps, a pause and a rewind leave the numbers as they are, bit for bit", async () => {
      const page = await visit(lab, link(steps));
      await ready(page, backend);
      await until(page, (event) => event.event === "configured");
      await page.keyboard.press("s");
      await until(page, (event) => event.event === "state" && event.step === 1);
      await page.keyboard.press("s");
      await until(page, (event) => event.event === "state" && event.step === 2);
      await page.keyboard.press(" ");
      await until(page, (event) => event.event === "metrics" && event.first_step + event.loss.length > 10);
      await page.keyboard.press(" ");
      await state(page, "paused");
      const paused = Number(await transport(page).getAttribute("data-step"));
      assert.ok(paused > 10 && paused < steps, `paused at step ${paused}`);

      const from = page.events.length;
      const head = page.getByRole("slider", { name: "Rewind" });
      await head.fill("7");
      await until(page, (event) => event.event === "state" && event.step === 7, { from });
      await page.keyboard.press("Escape");
      await page.getByRole("button", { name: "Go on" }).click();
      await state(page, "done", 120);
      assert.deepEqual(losses(page), first);
      assert.deepEqual(page.faults, []);
      await page.context().close();
    });

    test("a run that the tab's end cut short goes on as if nothing had happened", async () => {
      const page = await visit(lab, link(steps));
      await ready(page, backend);
      await until(page, (event) => event.event === "configured");
      await page.keyboard.press(" ");
      await until(page, (event) => event.event === "metrics" && event.first_step + event.loss.length > 20);
      await page.keyboard.press(" ");
      await state(page, "paused");
      const { run, step } = await until(page, (event) => event.event === "checkpoint" && event.step > 0);
      const before = losses(page);
      const context = page.context();
      // The database is written behind the scenes.
      while (!((await kept(page, "states", run))?.step >= step && (await kept(page, "runs", run)))) await sleep(50);
      await page.close();

      const again = await visit(lab, "", { context });
      await ready(again, backend);
      await again.getByRole("button", { name: "Resume" }).click();
      await until(again, (event) => event.event === "state" && event.step > 0);
      await again.getByRole("button", { name: "Go on" }).click();
      await state(again, "done", 120);
      // This visit only saw what came after the checkpoint.
      const after = losses(again);
      assert.equal(after.length, steps);
      assert.deepEqual(before.map((loss, i) => after[i] ?? loss), first.slice(0, before.length));
      assert.deepEqual(after.slice(before.length), first.slice(before.length));
      assert.deepEqual(again.faults, []);
      await context.close();
    });
  });
}

test("what is turned before the engine has answered is not lost", async () => {
  const page = await visit(lab, link(10 * STEPS.cpu));
  await ready(page, "cpu");
  await until(page, (event) => event.event === "configured");
  await page.keyboard.press(" ");
  await until(page, (event) => event.event === "metrics" && event.first_step + event.loss.length > 10);
  /** Types values one after the other (null: what there was), then presses a key, before any answer can come. */
  const turn = (values, key) =>
    page.evaluate(
      ([values, key]) => {
        const input = document.querySelector("[data-path='schedule.peak'] input[type=text]");
        const there = input.value;
        for (const value of values) {
          input.value = value ?? there;
          input.dispatchEvent(new Event("change", { bubbles: true }));
        }
        if (key) window.dispatchEvent(new KeyboardEvent("keydown", { key }));
      },
      [values, key],
    );
  const edited = (from, value) =>
    until(page, (event) => event.event === "edited" && (!value || event.edit.value === value), { from });
  // Turned and turned back.
  await turn(["0.0031", null]);
  await edited(page.events.indexOf(await edited(0, "0.0031")) + 1);
  // Turned, and left at once for a new run: the one before has it.
  await turn(["0.0033"], "r");
  await edited(0, "0.0033");
  await page.locator("tr[data-run][aria-selected=false] td.name button").click();
  await page.waitForFunction(() => /schedule\.peak=0\.0033/.test(location.hash));
  assert.deepEqual(page.faults, []);
  await page.context().close();
});

test("two tabs keep their runs apart, and Run may be pressed before earlier runs are known", async () => {
  const first = await visit(lab, link(STEPS.cpu));
  await ready(first, "cpu");
  const { run } = await until(first, (event) => event.event === "configured");
  await first.keyboard.press(" ");
  await until(first, (event) => event.event === "metrics" && event.first_step + event.loss.length > 20);
  await first.keyboard.press(" ");
  await state(first, "paused");
  while (!(await kept(first, "runs", run))) await sleep(50);
  const other = await visit(lab, link(20), { context: first.context() });
  await ready(other);
  assert.notEqual((await until(other, (event) => event.event === "configured")).run, run);
  // It goes on in the first tab, if anywhere.
  assert.equal(await other.getByRole("button", { name: "Resume" }).count(), 0);
  await other.close();
  await first.close();
  await first.context().addInitScript(() =>
    new MutationObserver((_, watch) => {
      const run = [...document.querySelectorAll("button")].find((button) => button.textContent.trim() === "Run");
      if (run) {
        watch.disconnect();
        run.click();
      }
    }).observe(document, { childList: true, subtree: true }),
  );
  const eager = await visit(lab, link(20), { context: first.context() });
  await state(eager, "done");
  await eager.locator("tr[data-run]").nth(1).waitFor();
  assert.equal(await eager.locator("tr[data-run]").count(), 2);
  assert.equal(await eager.locator(".toast.bad").count(), 0);
  assert.deepEqual([...first.faults, ...eager.faults], []);
  await eager.context().close();
});

test("the page shows before the engine arrives", async () => {
  const context = await lab.browser.newContext({ serviceWorkers: "block" });
  let release;
  const held = new Promise((resolve) => (release = resolve));
  await context.route("**/worker_bg.wasm*", async (route) => {
    await held;
    await route.continue();
  });
  const page = await visit(lab, link(80), { context });
  await page.getByRole("button", { name: "Run", exact: true }).waitFor();
  assert.equal(page.events.length, 0);
  release();
  await ready(page);
  await context.close();
});

test("the address follows the recipe, Back and Forward lead it", async () => {
  const page = await visit(lab, "#lab?preset=mlp&v=1");
  await ready(page);
  await page.locator("[data-path=seed] input[type=text]").fill("7");
  await page.keyboard.press("Tab");
  await page.waitForFunction(() => location.hash.includes("seed=7"));
  await page.goBack();
  await page.waitForFunction(() => !location.hash.includes("seed=7"));
  assert.equal(await page.locator("[data-path=seed] input[type=text]").inputValue(), "1");
  await page.goForward();
  await page.waitForFunction(() => location.hash.includes("seed=7"));
  assert.equal(await page.locator("[data-path=seed] input[type=text]").inputValue(), "7");
  assert.deepEqual(page.faults, []);
  await page.context().close();
});

test("whoever goes to another page gets there, whatever changes at that moment", async () => {
  const page = await visit(lab, "#lab?preset=mlp&v=1");
  await ready(page);
  // The browser tells of a new address only after the task that sets it, and a change in that task wants to be in the address.
  await page.evaluate(() => {
    const seed = document.querySelector("[data-path=seed] input[type=text]");
    location.hash = "#studies";
    seed.value = "7";
    for (const event of ["input", "change"]) seed.dispatchEvent(new Event(event, { bubbles: true }));
  });
  await page.locator(".card").first().waitFor();
  assert.equal(await page.evaluate(() => location.hash), "#studies");
  await page.goBack();
  await page.locator(".recipe").waitFor();
  assert.deepEqual(page.faults, []);
  await page.context().close();
});

test("an update rule shows its own controls, and what it wants", async () => {
  const page = await visit(lab, "#lab?preset=mlp&v=1");
  await ready(page);
  const rule = page.locator("[data-path=optimizer] select");
  const control = (name) => page.locator(`[data-path="optimizer.${name}"]`);
  const effect = page.locator("[data-path=optimizer] .effect");
  for (const [id, own, others, wanted] of [
    ["lars", ["momentum", "trust"], ["beta1", "eps", "largest_norm"], /trust coefficient/],
    ["lamb", ["beta1", "beta2", "eps", "largest_norm"], ["momentum", "trust"], /layer/],
    ["lion", ["beta1", "beta2"], ["eps", "momentum"], /a tenth of AdamW/],
    ["muon", ["momentum", "beta1", "beta2", "eps"], ["trust"], /matrices/],
  ]) {
    await rule.selectOption(id);
    for (const name of [...own, "weight_decay", "rho"]) await control(name).waitFor();
    for (const name of others) assert.equal(await control(name).count(), 0, `${id} has no ${name}`);
    assert.match(await effect.textContent(), wanted);
  }
  await control("rho").locator("input[type=text]").fill("0.05");
  await page.keyboard.press("Tab");
  await page.waitForFunction(() => location.hash.includes("optimizer=muon&optimizer.rho=0.05"));
  await page.getByText("two gradients of each").waitFor();
  assert.deepEqual(page.faults, []);
  await page.context().close();
});

test("batches that are drawn by their losses are drawn again after a rewind", async () => {
  const plain = await open({ webgpu: false });
  const page = await visit(plain, "#lab?preset=mlp&data.train=640&steps=200&batch.size=32&batch.sampler=fixed&batch.share=0.5&v=1");
  await ready(page, "cpu");
  await until(page, (event) => event.event === "configured");
  await page.getByRole("button", { name: "Run", exact: true }).click();
  await state(page, "done", 120);
  const first = losses(page);
  const from = page.events.length;
  await page.getByRole("slider", { name: "Rewind" }).fill("75");
  await until(page, (event) => event.event === "state" && event.step === 75, { from });
  await page.keyboard.press("Escape");
  await page.getByRole("button", { name: "Go on" }).click();
  await state(page, "done", 120);
  assert.deepEqual(losses(page), first);
  assert.deepEqual(page.faults, []);
  await plain.close();
});
