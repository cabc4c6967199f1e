// Why it trains: a person turns the schedule and the batch in mid-run, asks for the curvature, and shares.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { losses, open, ready, send, share, shot, state, transport, until, visit } from "./harness.mjs";

const LINK =
  "#lab?preset=mlp&optimizer=momentum&schedule=wsd&schedule.peak=0.05&schedule.decay=5000&steps=20000&probes.curvature=2000&v=1";

let lab;
before(async () => (lab = await open()));
after(() => lab.close());

const curvature = (page) => page.events.findLast((event) => event.event === "probed")?.figures ?? [];
const drawn = (id) => (event) => event.event === "probed" && event.figures.find((figure) => figure.id === id)?.marks.length > 0;
const figure = (page, id) => page.locator(`[data-figure="${id}"]`);

test("schedule, batch and curvature act on each other, and the link replays it all", async () => {
  const page = await visit(lab, LINK);
  await ready(page, "cpu");
  await page.getByRole("button", { name: "Run", exact: true }).click();
  await until(page, drawn("spectrum"), { seconds: 90 });

  // The start of the decay, dragged to the left while it trains.
  const handle = page.getByRole("slider", { name: "Start of the decay" });
  const box = await handle.boundingBox();
  await page.mouse.move(box.x + box.width / 2, box.y + box.height / 2);
  await page.mouse.down();
  await page.mouse.move(box.x - 40, box.y + box.height / 2, { steps: 5 });
  await page.mouse.up();
  const decay = await until(page, (event) => event.event === "edited" && event.edit.path === "schedule.decay");
  assert.ok(Number(decay.edit.value) > 5000, `the decay is ${decay.edit.value} steps long`);

  await page.locator("[data-path='batch.size'] input[type=text]").fill("256");
  await page.keyboard.press("Tab");
  await until(page, (event) => event.event === "edited" && event.edit.path === "batch.size");

  await page.getByRole("button", { name: "Measure now" }).click();
  await page.getByRole("menuitem", { name: "Compare batches" }).click();
  const compared = (event) => event.event === "probed" && event.figures.some((shown) => shown.id === "batches");
  await until(page, compared, { seconds: 90 });
  await figure(page, "batches").waitFor();

  await state(page, "done", 240);
  const ids = curvature(page).map((shown) => shown.id);
  for (const id of ["spectrum", "eigenvalues", "noise", "norms", "trace", "alignment", "distance"]) {
    assert.ok(ids.includes(id), `${id} is not among ${ids}`);
    await figure(page, id).waitFor();
  }
  await shot(page, "curvature-desktop-light");
  assert.deepEqual(page.faults, []);

  const first = losses(page);
  const link = await share(page);
  assert.match(link, /edit/);
  await page.context().close();

  const again = await visit(lab, link);
  await ready(again, "cpu");
  await again.getByRole("button", { name: "Run", exact: true }).click();
  await state(again, "done", 240);
  assert.deepEqual(losses(again), first);
  await again.context().close();
});

test("the lab's own recipe shows its curvature while it trains", async () => {
  const page = await visit(lab, "#lab");
  await ready(page, "cpu");
  await page.getByRole("button", { name: "Run", exact: true }).click();
  // Norms at once; eigenvalues, many products later, long before the end.
  await until(page, drawn("norms"), { seconds: 20 });
  await until(page, drawn("eigenvalues"), { seconds: 120 });
  await state(page, "running", 5);
  // Folded where it is not what the run is about.
  await page.getByRole("heading", { name: "Curvature" }).click();
  const top = page.locator("[data-figure=eigenvalues]");
  await top.scrollIntoViewIfNeeded();
  await top.locator(".uplot").waitFor();
  assert.deepEqual(page.faults, []);
  await page.context().close();
});

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
  const readings = (event) => event.figures?.find(({ id }) => id === "trace")?.marks[0]?.line.points ?? [];
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
    await send(page, { run: { run, what: { probe: { probe } } } });
    const drawn = () => page.events.filter((e) => e.event === "probed" && e.figures.some((f) => f.id === id)).length;
    await until(page, () => drawn() > 2, { seconds: 90 });
    await figure(page, id).waitFor();
  }
  assert.equal(await transport(page).getAttribute("data-step"), "0");
  assert.deepEqual(page.faults, []);
  await page.context().close();
});

test("curvature sets the rate while the run goes on, and the lane shows what was used", async () => {
  const page = await visit(lab, "#lab?preset=on-the-fly&schedule.interval=20&steps=300&probes.curvature=0&v=1");
  await ready(page, "cpu");
  const lane = figure(page, "learning-rate");
  const planned = await lane.locator(".now").textContent();
  // What the curvature sets is nothing to turn or to drag.
  assert.equal(await page.locator("[data-path='schedule.peak']").count(), 0);
  assert.equal(await lane.getByRole("slider").count(), 0);
  await page.getByRole("button", { name: "Run", exact: true }).click();
  await state(page, "done", 120);
  const rates = page.events.filter((event) => event.event === "metrics").flatMap((event) => event.lr);
  assert.equal(rates.length, 300);
  assert.equal(new Set(rates).size, 15, `rates ${[...new Set(rates)]}`);
  const shown = await lane.locator(".now").textContent();
  assert.notEqual(shown, planned);
  assert.ok(Math.abs(parseFloat(shown) / rates.at(-1) - 1) < 0.01, `${shown} is not ${rates.at(-1)}`);
  assert.match(shown, /momentum 0\.\d+/);
  assert.deepEqual(page.faults, []);
  await page.context().close();
});

test("instruments come when they are asked for, stand in the link, and change nothing", async () => {
  const recipe = "#lab?preset=mlp&optimizer=momentum&schedule.peak=0.02&steps=1500&probes.curvature=100";
  const page = await visit(lab, `${recipe}&v=1`);
  await ready(page, "cpu");
  await page.getByRole("heading", { name: "Instruments" }).click();
  const switches = page.locator(".instruments .field");
  assert.equal(await switches.count(), 8);
  for (const one of await switches.all()) await one.locator("input, button").first().click();
  const paths = await switches.evaluateAll((all) => all.map((one) => one.dataset.path));
  await page.getByRole("button", { name: "Run", exact: true }).click();
  await state(page, "done", 240);
  const ids = ["alpha", "batch-sharpness", "signal", "cabs", "stopping", "perturbation", "blocks", "elements", "elements-against"];
  for (const id of ids) {
    await until(page, drawn(id), { seconds: 90 });
    await figure(page, id).waitFor();
  }
  // At the same places on any machine: the first update and multiples of the interval, and the end.
  const told = curvature(page).find(({ id }) => id === "cabs").marks.at(-1).line.points.map(([step]) => step);
  assert.ok(told.every((step) => step === 1 || step % 100 === 0), `readings at ${told}`);
  const link = await share(page);
  for (const path of paths) assert.match(link, new RegExp(`${path.replace(".", "\\.")}=`));
  const watched = losses(page);
  await shot(page, "instruments-desktop-light");
  assert.deepEqual(page.faults, []);
  await page.context().close();

  const without = await visit(lab, `${recipe}&v=1`);
  await ready(without, "cpu");
  await without.getByRole("button", { name: "Run", exact: true }).click();
  await state(without, "done", 120);
  assert.deepEqual(losses(without), watched);
  await without.context().close();
});
