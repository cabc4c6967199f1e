// The curvature beside a run: readings, what a rewind makes of them, and slices of the loss.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { losses, open, ready, send, state, transport, until, visit } from "./harness.mjs";

let lab;
before(async () => (lab = await open()));
after(() => lab.close());

const figure = (page, id) => page.locator(`[data-figure="${id}"]`);

test("probes change nothing, and a rewind forgets what they saw later", async () => {
  const run = async (every) => {
    const page = await visit(lab, `#lab?preset=mlp&steps=1200&probes.curvature=${every}&v=1`);
    await ready(page, "cpu");
    await page.getByRole("button", { name: "Run", exact: true }).click();
    await state(page, "done", 120);
    return page;
  };
  const [watched, alone] = [await run(100), await run(0)];
  assert.deepEqual(losses(watched), losses(alone));
  const readings = (event) => event.figures?.find(({ id }) => id === "trace")?.marks[0].line.points ?? [];
  const [[first]] = readings(await until(watched, (event) => event.event === "probed" && readings(event).length > 1));
  const from = watched.events.length;
  await watched.getByRole("slider", { name: "Rewind" }).fill(String(first));
  await until(watched, (event) => event.event === "state" && event.step === first, { from });
  const told = await until(watched, (event) => event.event === "probed", { from });
  assert.equal(readings(told).length, 1, "the first reading stays");
  for (const { id, marks } of told.figures) {
    for (const { line } of marks) {
      assert.ok(!line || line.points.every(([step]) => step <= first), `${id} still shows what came after step ${first}`);
    }
  }
  await watched.context().close();
  await alone.context().close();
});

test("the loss along a line and over a plane is drawn step by step", async () => {
  const page = await visit(lab, "#lab?preset=spirals&v=1");
  await ready(page, "cpu");
  const { run } = await until(page, (event) => event.event === "configured");
  for (const [probe, id] of [["line", "line"], ["plane", "plane"]]) {
    await send(page, { probe: { run, probe } });
    const drawn = () => page.events.filter((e) => e.event === "probed" && e.figures.some((f) => f.id === id)).length;
    await until(page, () => drawn() > 2, { seconds: 90 });
    await figure(page, id).waitFor();
  }
  assert.equal(await transport(page).getAttribute("data-step"), "0");
  assert.deepEqual(page.faults, []);
  await page.context().close();
});
