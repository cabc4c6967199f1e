// A long run takes no more memory than a short one: 2,000 updates of an MLP 64-32-10 in one worker on WebGPU.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { contextWithWorkers, engines, open, ready, state, until, visit } from "./harness.mjs";

let lab;
before(async () => (lab = await open()));
after(() => lab.close());

/** Put before the worker's own code: keeps hold of its WASM memory and counts the bytes of its GPU buffers. */
function meter() {
  self.meter = { gpu: 0, memory: null };
  for (const name of ["instantiate", "instantiateStreaming"]) {
    const own = WebAssembly[name];
    WebAssembly[name] = async (...args) => {
      const result = await own.apply(WebAssembly, args);
      self.meter.memory = (result.instance ?? result).exports.memory;
      return result;
    };
  }
  const create = GPUDevice.prototype.createBuffer;
  const sizes = new WeakMap();
  GPUDevice.prototype.createBuffer = function (...args) {
    const buffer = create.apply(this, args);
    sizes.set(buffer, buffer.size);
    self.meter.gpu += buffer.size;
    return buffer;
  };
  // A buffer may be destroyed twice.
  const destroy = GPUBuffer.prototype.destroy;
  GPUBuffer.prototype.destroy = function () {
    self.meter.gpu -= sizes.get(this) ?? 0;
    sizes.delete(this);
    return destroy.apply(this);
  };
}

test("2,000 updates on WebGPU leave WASM heap and GPU bytes within 2% of what the first 200 took", async () => {
  const context = await contextWithWorkers(lab, `(${meter})();`);
  const page = await visit(lab, "#lab?preset=tanh-mlp&probes.curvature=0&v=1", { context });
  await ready(page, "webgpu");
  const { summary } = await until(page, (event) => event.event === "configured");
  assert.equal(summary.parameters, 64 * 32 + 32 + 32 * 10 + 10);
  assert.equal(engines(page).length, 1);
  const used = () => engines(page)[0].evaluate(() => ({ wasm: self.meter.memory.buffer.byteLength, gpu: self.meter.gpu }));

  await page.getByRole("button", { name: "Run", exact: true }).click();
  const done = (event) => (event.event === "metrics" ? event.first_step + event.loss.length : 0);
  await until(page, (event) => done(event) >= 200, { seconds: 120 });
  const early = await used();
  await state(page, "done", 180);
  const late = await used();
  const told = page.events.findLast((event) => event.event === "metrics");
  assert.equal(done(told), 2000);
  for (const what of ["wasm", "gpu"]) {
    assert.ok(early[what] > 1 << 16, `${early[what]} bytes of ${what} are hardly measured`);
    assert.ok(late[what] <= 1.02 * early[what], `${what}: ${early[what]} bytes at a tenth of the run, ${late[what]} at its end`);
  }
  assert.deepEqual(page.faults, []);
  await context.close();
});
