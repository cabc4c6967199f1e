// Numbers of an axis. On a logarithmic one: above 0, round, at least two where the range allows, and never more than have room.
import assert from "node:assert/strict";
import { test } from "node:test";
import { logSplits, range, steps, tick } from "../app/js/ticks.js";

const near = (values) => values.map((value) => Number(value.toPrecision(6)));

test("powers of ten, all of them or every other", () => {
  assert.deepEqual(near(logSplits(10, 1e-6, 1, 12)), [1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 0.1, 1]);
  assert.deepEqual(near(logSplits(10, 1e-6, 1, 4)), [1e-6, 1e-4, 1e-2, 1]);
  // As on a phone: four powers in range, and room for not quite four.
  assert.deepEqual(near(logSplits(10, 5e-5, 0.3, 3.9)), [1e-4, 1e-3, 0.01, 0.1]);
});

test("steps between powers where few are in range", () => {
  assert.deepEqual(near(logSplits(10, 0.8, 30, 8)), [1, 2, 5, 10, 20]);
  assert.deepEqual(near(logSplits(10, 0.8, 40, 3.9)), [1, 3, 10, 30]);
  assert.deepEqual(near(logSplits(10, 2.4, 3.2, 4)), [2.5, 3]);
});

test("never more than have room", () => {
  for (const most of [2, 3.9, 5, 8, 12])
    for (let low = -7; low < 3; low += 0.37)
      for (let wide = 0.05; wide < 9; wide += 0.41) {
        const [from, to] = [10 ** low, 10 ** (low + wide)];
        const found = logSplits(10, from, to, most);
        assert.ok(found.length <= most + 2, `${found.length} numbers from ${from} to ${to}, room for ${most}`);
        assert.ok(found.every((value) => value > from * 0.999 && value < to * 1.001), `${found} from ${from} to ${to}`);
      }
});

test("what is counted has whole numbers", () => {
  assert.equal(steps([1, 2, 3])[0], 1);
  assert.ok(steps([1, 2, 3]).every(Number.isInteger));
  for (const values of [[], [0, 1], [0, 0.5, 1], [0, 1, NaN]]) assert.ok(steps(values).includes(0.25), `${values}`);
});

test("a logarithmic axis ends above 0, and has no numbers where it cannot", () => {
  const log = (axis, low, high, xs = []) => range({ log: true, ...axis })({ data: [xs] }, low, high);
  // From the least value, however much room an explicit range leaves; that from 0 up to its own end.
  assert.deepEqual(near(log({}, 40, 80)), near([40 / 1.15, 92]));
  assert.deepEqual(near(log({ range: [0, 112] }, 40, 80)), near([40 / 1.15, 112]));
  assert.deepEqual(log({ range: [0, 112] }, null, null), [1e-3, 1]);
  assert.deepEqual(log({ range: [0.5, 8] }, 40, 80), [0.5, 8]);
  assert.deepEqual(log({ range: [-1, 0] }, 2, 2), [1, 4]);
  // An x axis that holds a 0.
  assert.deepEqual(near(log({}, 0, 400, [-1, 0, 2, 400])), near([2 / 1.15, 460]));
  assert.deepEqual(log({}, 0, 0, [0]), [1e-3, 1]);
  for (const [low, high] of [[0, 112], [-1, 1], [NaN, 1], [1, NaN], [1, Infinity], [null, null]]) {
    assert.deepEqual(logSplits(10, low, high, 8), [], `${low} to ${high}`);
  }
  assert.deepEqual(range({ range: [0, 112] })({ data: [[]] }, 40, 80), [0, 112]);
});

test("numbers are short", () => {
  assert.deepEqual([0, 2.5, 1500, 25_000, 3e7, -0.002].map((value) => tick(value)), ["0", "2.5", "1500", "25k", "30M", "−0.002"]);
  assert.equal(tick(3 * 10 ** -4), "3e−4");
  assert.equal(tick(0.07, true), "7%");
  assert.equal(tick(null), "");
});
