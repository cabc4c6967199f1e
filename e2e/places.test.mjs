// Places of a figure: where a pointer and the arrow keys lead.
import assert from "node:assert/strict";
import { test } from "node:test";
import { nearest, next } from "../app/js/places.js";

// Three rows of three squares, ten pixels wide, side by side.
const GRID = Array.from({ length: 9 }, (_, i) => [(i % 3) * 10, Math.floor(i / 3) * 10, 10, 10]);

test("arrow keys lead to the neighbour", () => {
  const around = [[1, 0], [-1, 0], [0, 1], [0, -1]].map((way) => next(GRID, 4, way));
  assert.deepEqual(around, [5, 3, 7, 1]);
  assert.equal(next(GRID, 2, [1, 0]), undefined);
  // Straight ahead rather than nearer and aside.
  assert.equal(next([[0, 0, 0, 0], [10, 20, 0, 0], [30, 0, 0, 0]], 0, [1, 0]), 2);
});

test("a pointer finds the place that contains it, else the nearest within reach", () => {
  assert.equal(nearest(GRID, [14, 25]), 7);
  assert.equal(nearest(GRID, [35, 5]), 2);
  assert.equal(nearest(GRID, [60, 5]), undefined);
  assert.equal(nearest([], [0, 0]), undefined);
  // What is drawn later lies above.
  assert.equal(nearest([[0, 0, 20, 20], [5, 5, 20, 20]], [10, 10]), 1);
});
