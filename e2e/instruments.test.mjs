// Every instrument reads on WebGPU what it reads on the CPU, and all of them together leave training its speed.
import assert from "node:assert/strict";
import { test } from "node:test";
import { ALL_INSTRUMENTS, INSTRUMENTS, open, ready, state, until, visit } from "./harness.mjs";

/** The last figures of a run's curvature by their names, once the run is at its end and all that was asked for is read. */
async function readings(backend) {
  const lab = await open({ webgpu: backend === "webgpu" });
  const page = await visit(lab, `#lab?preset=mlp&steps=200&schedule.peak=0.001&probes.curvature=100${ALL_INSTRUMENTS}&v=1`);
  await ready(page, backend);
  await until(page, (event) => event.event === "configured");
  await page.getByRole("button", { name: "Run", exact: true }).click();
  await state(page, "done", 120);
  const elements = (figures) => figures.find(({ id }) => id === "elements")?.value.includes("step 200");
  await until(page, ({ event, figures }) => event === "probed" && elements(figures), { seconds: 120 });
  // The others follow one by one.
  for (let told = -1; told !== page.events.length; await page.waitForTimeout(3000)) told = page.events.length;
  const { figures } = page.events.findLast(({ event }) => event === "probed");
  assert.deepEqual(page.faults, []);
  await lab.close();
  return new Map(figures.map(({ id, value, marks }) => [id, { value, points: marks[0]?.line?.points ?? [] }]));
}

test("every instrument reads the same on both executors", async () => {
  const [cpu, gpu] = [await readings("cpu"), await readings("webgpu")];
  assert.deepEqual([...gpu.keys()], [...cpu.keys()]);
  for (const id of INSTRUMENTS.map((name) => name.replace("_", "-"))) assert.ok(cpu.has(id), id);
  for (const [id, { value, points }] of cpu) {
    // Numbers in words are rounded: their wording is compared, and the numbers where there are points.
    const wording = (text) => text.replace(/[−-]?\d[\d.e−-]*/g, "#");
    assert.equal(wording(gpu.get(id).value), wording(value), id);
    // A slow machine leaves readings on the way out, the last never.
    const other = new Map(gpu.get(id).points);
    assert.ok(points.length === 0 || other.has(points.at(-1)[0]), id);
    for (const [step, y] of points.filter(([step]) => other.has(step))) {
      assert.ok(Math.abs(other.get(step) - y) <= 0.02 * Math.abs(y) + 1e-6, `${id} at step ${step}: ${other.get(step)} on WebGPU, ${y} on the CPU`);
    }
  }
});

test("all instruments together leave more than 60% of the speed", async () => {
  const lab = await open({ webgpu: false });
  /** Milliseconds a step after a warm start. */
  const pace = async (more) => {
    const page = await visit(lab, `#lab?preset=mlp&steps=3000${more}&v=1`);
    await ready(page, "cpu");
    await until(page, (event) => event.event === "configured");
    await page.evaluate(() => {
      window.told = [];
      window.worker.addEventListener("message", ({ data }) => {
        const metrics = data.json?.startsWith('{"run"') ? JSON.parse(data.json).run.what.metrics : undefined;
        if (metrics) window.told.push([metrics.first_step + metrics.loss.length, performance.now()]);
      });
    });
    await page.getByRole("button", { name: "Run", exact: true }).click();
    await state(page, "done", 180);
    const told = await page.evaluate(() => window.told);
    const [from, to] = [told.find(([step]) => step >= 600), told.at(-1)];
    await page.context().close();
    return (to[1] - from[1]) / (to[0] - from[0]);
  };
  // The machine may be busy in one of both: what a run can reach is its best of some.
  let [plain, under] = [Infinity, Infinity];
  for (let tries = 0; tries < 3 && !(plain / under > 0.6); tries++) {
    plain = Math.min(plain, await pace("&probes.curvature=0"));
    under = Math.min(under, await pace(ALL_INSTRUMENTS));
  }
  await lab.close();
  assert.ok(plain / under > 0.6, `${plain} ms a step without instruments, ${under} with all`);
});
