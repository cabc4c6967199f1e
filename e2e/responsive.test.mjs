// The page stays responsive while it shows a run: no task of its main thread takes longer than 50 ms of computing.
//
// What a task takes is read from Chromium's own trace: its thread's processor time, not the clock's, as the tests share
// two cores with the worker and a GPU in software, which may take the processor away in the middle of a task.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { ALL_INSTRUMENTS, open, ready, transport, visit } from "./harness.mjs";

const LONGEST_MS = 50;

let lab;
before(async () => (lab = await open()));
after(() => lab.close());

/** Tasks of the page's main thread in a trace: milliseconds of processor and clock, and the events within. */
function tasks(trace) {
  const { traceEvents: events } = JSON.parse(trace);
  const thread = (event) => `${event.pid}:${event.tid}`;
  const mains = new Set(events.filter((event) => event.name === "thread_name" && event.args.name === "CrRendererMain").map(thread));
  const runs = events.filter((event) => event.name === "RunTask" && event.dur !== undefined && mains.has(thread(event)));
  return runs.map((run) => ({
    // Left out where it is none.
    cpu: (run.tdur ?? 0) / 1000,
    clock: run.dur / 1000,
    what: () =>
      events
        .filter((event) => thread(event) === thread(run) && event.name !== "RunTask" && event.dur > 3000)
        .filter((event) => event.ts >= run.ts && event.ts < run.ts + run.dur)
        .map((event) => `${event.name} ${(event.dur / 1000).toFixed(1)}`),
  }));
}

/** How a page is set going, and how much it has shown since. */
const LAB = { button: "Run", shown: (page) => transport(page).getAttribute("data-step") };
const FEWSHOT = { button: "Run many tasks", shown: (page) => page.locator("[data-tasks]").getAttribute("data-tasks") };


for (const [what, hash, backend, seconds, how] of [
  ["a default run on WebGPU", "#lab", "webgpu", 20, LAB],
  ["a default run on the CPU", "#lab", "cpu", 20, LAB],
  ["a small network that trains fast", "#lab?preset=mlp&steps=100000&v=1", "cpu", 20, LAB],
  ["a run under all instruments", `#lab?preset=mlp&steps=100000&probes.curvature=50${ALL_INSTRUMENTS}&v=1`, "cpu", 20, LAB],
  ["four strategies side by side", "#continual", "cpu", 20, LAB],
  ["a comparison of few-shot methods", "#fewshot?ways=20&tasks=5000&v=2", undefined, 20, FEWSHOT],
]) {
  test(`${what} leaves the main thread free`, async (context) => {
    // Processor time, too, is longer while the machine is busy elsewhere; a task of ours is as long the second time.
    let long = await longTasks(context, hash, backend, seconds, how);
    if (long.length > 0) long = await longTasks(context, hash, backend, seconds, how);
    assert.deepEqual(long, []);
  });
}

/** Runs what `hash` says for some seconds; the tasks that took too long, in words. */
async function longTasks(context, hash, backend, seconds, how) {
  const page = await visit(lab, hash);
  await ready(page, backend);
  await lab.browser.startTracing(page, { categories: ["-*", "devtools.timeline", "disabled-by-default-devtools.timeline"] });
  await page.getByRole("button", { name: how.button, exact: true }).click();
  await page.waitForTimeout(1000 * seconds);
  const all = tasks(await lab.browser.stopTracing());
  // Something was traced, and something was shown.
  assert.ok(Number(await how.shown(page)) > 0);
  assert.ok(all.length > 100 && all.some((task) => task.cpu > 1), `${all.length} tasks were traced`);
  const long = all.filter((task) => task.cpu > LONGEST_MS);
  const most = (of) => Math.max(...all.map(of)).toFixed(1);
  context.diagnostic(`longest task: ${most((task) => task.cpu)} ms of processor, ${most((task) => task.clock)} ms of clock`);
  assert.deepEqual(page.faults, []);
  await page.context().close();
  return long.map((task) => `${task.cpu} ms: ${task.what().join(", ")}`);
}
