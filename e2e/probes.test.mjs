// What probes cost: training keeps at least 70% of the speed that it has without them.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { open, ready, until, visit } from "./harness.mjs";

const LEAST = 0.7;
const SECONDS = 5;

let lab;
before(async () => (lab = await open()));
after(() => lab.close());

/** Updates in a second of the worker's clock, and what share of it went into updates, once the run has warmed up. */
async function speed(backend, probes) {
  const page = await visit(lab, `#lab?preset=mlp&steps=1000000${probes}&v=1`);
  await ready(page, backend);
  await page.getByRole("button", { name: "Run", exact: true }).click();
  await until(page, (event) => event.event === "metrics" && event.first_step > 100);
  await page.waitForTimeout(1500);
  const from = page.events.length;
  await page.waitForTimeout(1000 * SECONDS);
  const told = page.events.slice(from).filter((event) => event.event === "metrics");
  const sum = (column) => told.flatMap((event) => event[column]).reduce((sum, ms) => sum + ms, 0);
  const updates = told.flatMap((event) => event.loss).length;
  const kinds = new Set(page.events.map((event) => event.event));
  assert.deepEqual(page.faults, []);
  await page.context().close();
  return { rate: (1000 * updates) / sum("step_ms"), share: sum("host_ms") / sum("step_ms"), kinds };
}

for (const backend of ["cpu", "webgpu"]) {
  test(`probes as they come leave training most of the time, on ${backend}`, async (context) => {
    const [watched, alone] = [[], []];
    // In turns: the machine may be busier at one time than at another.
    for (let turn = 0; turn < 2; turn++) {
      alone.push(await speed(backend, "&probes.evaluate=0&probes.look=0&probes.curvature=0"));
      watched.push(await speed(backend, ""));
    }
    assert.ok(watched.every(({ kinds }) => kinds.has("evaluated")) && alone.every(({ kinds }) => !kinds.has("evaluated")));
    if (backend === "cpu") assert.ok(watched.every(({ kinds }) => kinds.has("look") && kinds.has("probed")));
    const best = (runs, of) => Math.max(...runs.map((run) => run[of]));
    const ratio = (of) => best(watched, of) / best(alone, of);
    context.diagnostic(`${ratio("rate").toFixed(2)} of the updates a second, ${ratio("share").toFixed(2)} of the time`);
    // The share is of the same seconds as what it is compared with; the rate also falls when something else takes the
    // processor from one of the two runs, so the better of both tells what probes cost.
    assert.ok(Math.max(ratio("rate"), ratio("share")) >= LEAST, `${ratio("rate")} of the updates, ${ratio("share")} of the time`);
  });
}
