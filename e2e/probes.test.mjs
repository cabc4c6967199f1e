// What probes cost: training keeps at least 70% of the speed that it has without them.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { open, ready, until, visit } from "./harness.mjs";

const LEAST = 0.7;
const SECONDS = 5;

let lab;
before(async () => (lab = await open()));
after(() => lab.close());

/**
 * Updates in a second of the worker's clock, and what share of it went into updates, once the run has warmed up: events of
 * all kinds that are `awaited` have come.
 */
async function speed(backend, probes, awaited) {
  const page = await visit(lab, `#lab?preset=mlp&steps=1000000${probes}&v=1`);
  await ready(page, backend);
  await page.getByRole("button", { name: "Run", exact: true }).click();
  await until(page, (event) => event.event === "metrics" && event.first_step > 100);
  for (const kind of awaited) await until(page, (event) => event.event === kind, { seconds: 90 });
  await page.waitForTimeout(1500);
  const from = page.events.length;
  // By the worker's clock: on a busy machine what it says may reach the page late.
  let clock = 0;
  const passed = (event) => (clock += event.step_ms.reduce((sum, ms) => sum + ms, 0));
  await until(page, (event) => event.event === "metrics" && passed(event) >= 1000 * SECONDS, { from, seconds: 120 });
  const told = page.events.slice(from).filter((event) => event.event === "metrics");
  const sum = (column) => told.flatMap((event) => event[column]).reduce((sum, ms) => sum + ms, 0);
  const updates = told.flatMap((event) => event.loss).length;
  const kinds = new Set(page.events.map((event) => event.event));
  assert.deepEqual(page.faults, []);
  await page.context().close();
  return { rate: (1000 * updates) / sum("step_ms"), share: sum("host_ms") / sum("step_ms"), kinds };
}

// On a GPU in software the curvature takes longer than a test may wait for it; its share of the time is spent all the same.
for (const [backend, awaited] of [["cpu", ["evaluated", "look", "probed"]], ["webgpu", ["evaluated"]]]) {
  test(`probes as they come leave training most of the time, on ${backend}`, async (context) => {
    const [watched, alone] = [[], []];
    // In turns: the machine may be busier at one time than at another.
    for (let turn = 0; turn < 2; turn++) {
      alone.push(await speed(backend, "&probes.evaluate=0&probes.look=0&probes.curvature=0", []));
      watched.push(await speed(backend, "", awaited));
    }
    assert.ok(alone.every(({ kinds }) => !awaited.some((kind) => kinds.has(kind))));
    const best = (runs, of) => Math.max(...runs.map((run) => run[of]));
    const ratio = (of) => best(watched, of) / best(alone, of);
    context.diagnostic(`${ratio("rate").toFixed(2)} of the updates a second, ${ratio("share").toFixed(2)} of the time`);
    // The share is of the same seconds as what it is compared with; the rate also falls when something else takes the
    // processor from one of the two runs, so the better of both tells what probes cost.
    assert.ok(Math.max(ratio("rate"), ratio("share")) >= LEAST, `${ratio("rate")} of the updates, ${ratio("share")} of the time`);
  });
}
