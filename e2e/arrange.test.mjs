// The order in which the build puts a program's functions.
import assert from "node:assert/strict";
import { readFileSync, readdirSync } from "node:fs";
import { test } from "node:test";
import { arranged } from "../scripts/arrange.mjs";

/** A section of a module, or an entry with its length. */
const sized = (...bytes) => [bytes.length, ...bytes];

/** A module with an imported function and one of its own for each list of constants, which it adds up. */
function module(functions) {
  const adds = (list) => list.flatMap((value, i) => [0x41, value, ...(i ? [0x6a] : [])]);
  const bodies = functions.map((list) => sized(0, ...adds(list), 0x0b));
  return Buffer.from([
    ...[0, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
    ...[1, ...sized(1, 0x60, 0, 1, 0x7f)],
    ...[2, ...sized(1, 1, 0x61, 1, 0x62, 0, 0)],
    ...[3, ...sized(functions.length, ...functions.map(() => 0))],
    ...[10, ...sized(functions.length, ...bodies.flat())],
  ]);
}

/** Places of a module's own functions by the names that they have. */
function places(bytes) {
  const [section] = WebAssembly.Module.customSections(new WebAssembly.Module(bytes), "name");
  return [...Buffer.from(section).toString("latin1").matchAll(/\d{6}/g)].map(Number);
}

test("like functions lie side by side", () => {
  const [a, b] = [
    [1, 2, 3, 4, 5, 6],
    [31, 32, 33, 34, 35, 36],
  ];
  const made = arranged(module([a, b, [9], [...a, 7], [8, ...b]]));
  assert.deepEqual(places(made), [0, 2, 4, 1, 3]);
  assert.deepEqual(places(arranged(made)), [0, 2, 4, 1, 3], "names that are there are replaced");
});

test("the built page's functions are all named once", async () => {
  const name = readdirSync("dist").find((file) => /^app-.*_bg\.wasm$/.test(file));
  const found = places(arranged(readFileSync(`dist/${name}`)));
  assert.ok(found.length > 1000);
  assert.deepEqual([...found].sort((a, b) => a - b), [...found.keys()]);
});
