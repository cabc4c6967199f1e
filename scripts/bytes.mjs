// Where the bytes of the workers' code come from: by crate, and within the studies by study. Counted in what the compiler
// leaves, before wasm-opt, with the functions' names as wasm-bindgen reads them. A function inlined into another crate's counts
// as that crate's.
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** A WebAssembly module's sections as [id, content]. */
function* sections(bytes) {
  for (let at = 8; at < bytes.length; ) {
    const id = bytes[at++];
    const [length, start] = number(bytes, at);
    yield [id, bytes.subarray(start, start + length)];
    at = start + length;
  }
}

/** An unsigned LEB128 number at a place, and the place after it. */
function number(bytes, at) {
  let value = 0;
  for (let shift = 0; ; shift += 7) {
    const byte = bytes[at++];
    value += (byte & 127) * 2 ** shift;
    if (byte < 128) return [value, at];
  }
}

function name(bytes, at) {
  const [length, start] = number(bytes, at);
  return [bytes.toString("utf8", start, start + length), start + length];
}

/** How many functions a module imports: these come first in the count of functions. */
function imported(bytes) {
  let [count, at] = number(bytes, 0);
  let functions = 0;
  for (; count > 0; count--) {
    [, at] = name(bytes, at);
    [, at] = name(bytes, at);
    const kind = bytes[at++];
    if (kind === 0) functions++;
    // Type index; element type and limits; limits; type and mutability.
    if (kind === 1 || kind === 3) at++;
    if (kind === 0) [, at] = number(bytes, at);
    else if (kind === 3) at++;
    else {
      const bounded = bytes[at++] & 1;
      for (let i = 0; i <= bounded; i++) [, at] = number(bytes, at);
    }
  }
  return functions;
}

/** Lengths of the functions' bodies, in order. */
function lengths(bytes) {
  let [count, at] = number(bytes, 0);
  const found = [];
  for (; count > 0; count--) {
    const [length, start] = number(bytes, at);
    found.push(start + length - at);
    at = start + length;
  }
  return found;
}

/** Names of functions by number, from the custom section of that name. */
function names(bytes) {
  const found = new Map();
  for (let at = name(bytes, 0)[1]; at < bytes.length; ) {
    const id = bytes[at++];
    const [length, start] = number(bytes, at);
    at = start + length;
    if (id !== 1) continue;
    let [count, place] = number(bytes, start);
    for (; count > 0; count--) {
      let index, text;
      [index, place] = number(bytes, place);
      [text, place] = name(bytes, place);
      found.set(index, text);
    }
  }
  return found;
}

/** A worker's code, with names. */
function code(program) {
  const folder = mkdtempSync(join(tmpdir(), "bytes-"));
  const compiled = `target/wasm32-unknown-unknown/release/${program}.wasm`;
  execFileSync(".tools/bin/wasm-bindgen", ["--target", "web", "--out-dir", folder, "--out-name", program, compiled]);
  const bytes = readFileSync(join(folder, `${program}_bg.wasm`));
  rmSync(folder, { recursive: true });
  return bytes;
}

/** Bytes of code by what `key` makes of a function's name, the greatest first. */
function table(bytes, key) {
  const found = Object.fromEntries([...sections(bytes)].filter(([id]) => id !== 0));
  const custom = [...sections(bytes)].filter(([id, content]) => id === 0 && name(content, 0)[0] === "name");
  const known = names(custom[0][1]);
  const first = imported(found[2]);
  const sums = new Map();
  lengths(found[10]).forEach((length, i) => {
    const group = key(known.get(first + i) ?? "");
    if (group) sums.set(group, (sums.get(group) ?? 0) + length);
  });
  sums.set("data (texts, tables)", found[11].length);
  return [...sums].sort((a, b) => b[1] - a[1]);
}

// Names begin with a path, or with `<` and the type or trait that they are of.
const crate = (name) => /\b([a-z][a-z0-9_]*)::/.exec(name)?.[1] ?? "others";
const study = (name) => {
  if (crate(name) !== "studies") return undefined;
  return /\bstudies::(s\d\d_\w+)/.exec(name)?.[1] ?? "what carries them";
};
const print = (title, rows) => {
  console.log(`\n${title}`);
  for (const [what, bytes] of rows.filter(([, bytes]) => bytes >= 5000)) {
    console.log(`${(bytes / 1000).toFixed(0).padStart(7)} KB  ${what}`);
  }
};

const [lab, studies] = [code("worker"), code("studies-worker")];
print("the lab's worker, by crate", table(lab, crate));
print("the studies' worker, by crate", table(studies, crate));
print("the studies' own code", table(studies, study).filter(([what]) => !what.startsWith("data")));
