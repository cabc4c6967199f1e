// Threads of the CPU executor: how many there are, that their number changes no result, and that training goes on without them.
import assert from "node:assert/strict";
import { createServer, request as http } from "node:http";
import { after, before, test } from "node:test";
import { losses, open, ready, state, transport, until, visit } from "./harness.mjs";

const LINK = "#lab?steps=12&v=1";

let lab, plain;
before(async () => {
  lab = await open({ webgpu: false });
  plain = await open({ webgpu: false, isolated: false });
});
after(() => Promise.all([lab.close(), plain.close()]));

const threads = (backend) => Number(/^(\d+) threads?,/.exec(backend.adapter)[1]);
const helpers = (page) => page.asked.filter((address) => address.endsWith("/js/helper.js")).length;

/** Runs the link's recipe; returns its losses, exactly as the engine tells them. */
async function trained(page) {
  await page.getByRole("button", { name: "Run", exact: true }).click();
  await state(page, "done");
  return losses(page);
}

test("as many threads as cores give the losses of one, to the bit", async (context) => {
  const [shared, alone] = [await visit(lab, LINK), await visit(plain, LINK)];
  const cores = await shared.evaluate(() => navigator.hardwareConcurrency);
  assert.equal(threads(await ready(shared, "cpu")), Math.min(cores, 8));
  assert.equal(threads(await ready(alone, "cpu")), 1);
  const of = await trained(shared);
  assert.equal(of.length, 12);
  assert.deepEqual(of, await trained(alone));
  assert.equal(helpers(alone), 0);
  if (cores === 1) return context.skip("one core has no helpers");
  await shared.waitForFunction(() => document.querySelector("[data-backend]").textContent.includes("threads"));
  assert.deepEqual([...shared.faults, ...alone.faults], []);
  await Promise.all([shared.context().close(), alone.context().close()]);
});

test("weights of W1 to W3 too", async () => {
  const [shared, alone] = [await visit(lab, "#bench"), await visit(plain, "#bench")];
  await Promise.all([ready(shared), ready(alone)]);
  for (const workload of ["w1", "w2", "w3"]) {
    const run = (page) => page.evaluate((name) => window.bench(name, "cpu", 12), workload);
    const [row, other] = [await run(shared), await run(alone)];
    assert.deepEqual(row.losses, other.losses, workload);
    assert.ok(row.last_loss < row.first_loss);
  }
  await Promise.all([shared.context().close(), alone.context().close()]);
});

test("a study uses them and comes to the numbers of one thread", async () => {
  const of = async (lab) => {
    // Batches that are large enough to be shared.
    const page = await visit(lab, "#study/3?batch=256");
    await page.getByRole("spinbutton", { name: /^seeds$/i }).fill("1");
    await page.keyboard.press("Tab");
    const before = helpers(page);
    await page.getByRole("button", { name: "Run", exact: true }).click();
    const { verdict, figures } = await until(page, (event) => event.event === "study_done", { seconds: 300 });
    assert.deepEqual(page.faults, []);
    const cores = await page.evaluate(() => navigator.hardwareConcurrency);
    const helped = helpers(page) - before;
    await page.context().close();
    return { told: { verdict, figures }, helped, cores };
  };
  const [shared, alone] = [await of(lab), await of(plain)];
  assert.deepEqual(shared.told, alone.told);
  assert.equal(shared.helped, Math.min(shared.cores, 8) - 1);
  assert.equal(alone.helped, 0);
});

test("a host without the headers gets threads with the second visit, by the service worker", async () => {
  const page = await visit(plain, LINK, { offline: true });
  assert.equal(threads(await ready(page, "cpu")), 1);
  await page.evaluate(() => navigator.serviceWorker.ready);
  await page.waitForFunction(() => navigator.serviceWorker.controller);
  const from = page.events.length;
  await page.reload();
  await page.waitForFunction(() => crossOriginIsolated);
  for (; page.events.slice(from).every((event) => event.event !== "ready"); ) await page.waitForTimeout(50);
  const cores = await page.evaluate(() => navigator.hardwareConcurrency);
  assert.equal(threads(page.events.slice(from).find((event) => event.event === "ready").backend), Math.min(cores, 8));
  assert.equal((await trained(page)).length, 12);
  assert.deepEqual(page.faults, []);
  await page.context().close();
});

test("helpers that never come hold up nothing", async () => {
  const page = await visit(lab, LINK, { block: "**/js/helper.js" });
  await ready(page, "cpu");
  await trained(page);
  assert.equal(await transport(page).getAttribute("data-step"), "12");
  await page.context().close();
});

test("workers side by side have one thread each", async () => {
  const page = await visit(lab, "#sweep?preset=mlp&steps=8&x=schedule.peak:0.01..0.1:2&y=batch.size:8..16:2&v=2");
  await ready(page);
  const before = helpers(page);
  await page.getByRole("button", { name: "Run", exact: true }).click();
  await page.getByRole("button", { name: "Run again", exact: true }).waitFor({ timeout: 120_000 });
  assert.equal(await page.getByRole("main").getAttribute("data-done"), "4");
  assert.equal(helpers(page), before);
  assert.deepEqual(page.faults, []);
  await page.context().close();
});

test("a host that sends a page elsewhere is followed under the service worker", async (context) => {
  const { port, pathname } = new URL(plain.url);
  const front = createServer((request, answer) => {
    if (request.url === `${pathname}moved`) return answer.writeHead(302, { location: pathname }).end();
    request.pipe(http({ port, path: request.url, headers: request.headers }, (from) => from.pipe(answer.writeHead(from.statusCode, from.headers))));
  });
  await new Promise((done) => front.listen(0, "127.0.0.1", done));
  context.after(() => (front.closeAllConnections(), front.close()));
  const page = await visit({ ...plain, url: `http://127.0.0.1:${front.address().port}${pathname}` }, LINK, { offline: true });
  await page.waitForFunction(() => navigator.serviceWorker.controller);
  await page.goto(new URL("moved", page.url()).href);
  await page.waitForFunction(() => crossOriginIsolated);
  assert.equal(new URL(page.url()).pathname, pathname);
  assert.deepEqual(page.faults, []);
  await page.context().close();
});
