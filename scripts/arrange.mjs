// Puts a WebAssembly module's functions into an order in which it compresses well: each beside the one most like it. A compressor
// says more cheaply what it has just seen, and gzip sees no further back than 32 KB.
import { imports, leb, number, sections, sized } from "./wasm.mjs";

// How many bytes of code make a phrase; a phrase that more functions share tells nothing of their likeness.
const PHRASE = 5;
const COMMON = 400;
// Very short functions are alike by chance.
const SHORT = 20;

/** The functions' code. */
function bodies(content) {
  const found = [];
  let [count, at] = number(content, 0);
  for (; count > 0; count--) {
    const [length, start] = number(content, at);
    found.push(content.subarray(start, start + length));
    at = start + length;
  }
  return found;
}

/** For each function the phrases that it shares with others, and which functions have each of them. */
function phrases(functions) {
  const known = new Map();
  const having = [];
  functions.forEach((body, which) => {
    // Without the bytes that numbers of several bytes begin with: those are addresses, in which functions differ.
    const code = body.filter((byte) => byte < 128);
    let phrase = 0;
    code.forEach((byte, at) => {
      phrase = (phrase % 128 ** (PHRASE - 1)) * 128 + byte;
      if (at < PHRASE - 1) return;
      if (!known.has(phrase)) having.push([]), known.set(phrase, having.length - 1);
      const list = having[known.get(phrase)];
      if (list.at(-1) !== which) list.push(which);
    });
  });
  const shared = having.filter((list) => list.length > 1 && list.length <= COMMON);
  const own = functions.map(() => []);
  shared.forEach((list, phrase) => list.forEach((which) => own[which].push(phrase)));
  return [own, shared];
}

/** The functions in order: each is followed by the one that shares most of its phrases, rare ones counting more. */
function order(functions) {
  const [own, having] = phrases(functions);
  const weight = having.map((list) => Math.log(functions.length / list.length));
  const whole = own.map((list) => list.reduce((sum, phrase) => sum + weight[phrase], 0));
  const left = new Set(functions.keys());
  const shared = new Float64Array(functions.length);
  const found = [];
  for (let [next] = left; next !== undefined; ) {
    const current = next;
    left.delete(current);
    found.push(current);
    const alike = [];
    for (const phrase of own[current]) {
      for (const other of having[phrase]) {
        if (!left.has(other)) continue;
        if (shared[other] === 0) alike.push(other);
        shared[other] += weight[phrase];
      }
    }
    let best = 0;
    next = undefined;
    for (const other of alike) {
      const likeness = shared[other] / (whole[current] + whole[other] - shared[other] + SHORT);
      if (likeness > best) [best, next] = [likeness, other];
      shared[other] = 0;
    }
    if (next === undefined) [next] = left;
  }
  return found;
}

/** The module with its functions named so that wasm-opt's `--reorder-functions-by-name` puts them into that order. */
export function arranged(module) {
  const parts = [...sections(module)];
  const content = (kind) => parts.find(([of]) => of === kind)?.[1];
  // Imported functions come first in the count of functions.
  const first = content(2) ? [...imports(content(2))].filter(([kind]) => kind === 0).length : 0;
  const names = [];
  order(bodies(content(10))).forEach((which, place) => (names[first + which] = String(place).padStart(6, "0")));
  for (let which = 0; which < first; which++) names[which] = `imported ${which}`;
  const entries = names.map((name, which) => Buffer.concat([Buffer.from(leb(which)), sized(Buffer.from(name))]));
  const list = sized(Buffer.concat([Buffer.from(leb(names.length)), ...entries]));
  const section = Buffer.concat([sized(Buffer.from("name")), Buffer.from([1]), list]);
  const isNames = ([kind, content]) => kind === 0 && content.subarray(1, 5).toString() === "name";
  const kept = parts.filter((part) => !isNames(part)).map(([, , all]) => all);
  return Buffer.concat([module.subarray(0, 8), ...kept, Buffer.from([0]), sized(section)]);
}
