// Lets threads share a program's memory. Its code knows of one thread only and needs no other compiler or standard library for
// that: what threads tell each other goes through JavaScript (app/js/threads.js).
//
// Instances of the module on several threads have one memory, which must be laid out once: what the module would write into it when
// it is instantiated lies in a section of its own instead, from which app/start-worker.js lays it out.
import { imports, number, sections, sized } from "./wasm.mjs";

const IMPORTS = 2;
const DATA = 11;
const DATA_COUNT = 12;
const CUSTOM = 0;
/** A memory among imports. */
const MEMORY = 2;
/** Limits of a memory: a largest size is given, and threads share it. */
const LIMITED = 1;
const SHARED = 2;

const rebuilt = (module, parts) => Buffer.concat([module.subarray(0, 8), ...parts]);
const section = (kind, content) => Buffer.concat([Buffer.from([kind]), sized(content)]);

/** Where among imports the limits of the memory stand. */
function limits(content) {
  for (const [kind, at] of imports(content)) if (kind === MEMORY) return at;
  throw new Error("the memory is not imported");
}

/** The module with its memory as one that threads share. */
export function shared(module) {
  const parts = [...sections(module)].map(([kind, content, all]) => {
    if (kind !== IMPORTS) return all;
    const at = limits(content);
    if (content[at] !== LIMITED) throw new Error(`the memory's limits are of kind ${content[at]}, not ${LIMITED}`);
    content[at] |= SHARED;
    return all;
  });
  return rebuilt(module, parts);
}

/**
 * The module without its data, which stands in a section named "memory" instead: the pages of memory to begin with, then place,
 * length and bytes of each piece; numbers are u32, little end first.
 */
export function unloaded(module) {
  const parts = [...sections(module)];
  const content = (kind) => parts.find(([of]) => of === kind)[1];
  const word = (value) => {
    const bytes = Buffer.alloc(4);
    bytes.writeUInt32LE(value);
    return bytes;
  };
  const [pages] = number(content(IMPORTS), limits(content(IMPORTS)) + 1);
  const pieces = [word(pages)];
  const data = content(DATA);
  let [count, at] = number(data, 0);
  for (; count > 0; count--) {
    // Kind 0: written to the memory when the module is instantiated, at a constant place.
    const [kind, constant] = [data[at], data[at + 1]];
    if (kind !== 0 || constant !== 0x41) throw new Error("data that is not written at a constant place");
    const [place, after] = number(data, at + 2);
    // The place is a signed number, and not below 0; behind it the constant ends.
    const [length, start] = number(data, after + 1);
    pieces.push(word(place), word(length), data.subarray(start, start + length));
    at = start + length;
  }
  const kept = parts.filter(([kind]) => kind !== DATA && kind !== DATA_COUNT).map(([, , all]) => all);
  return rebuilt(module, [...kept, section(CUSTOM, Buffer.concat([sized(Buffer.from("memory")), ...pieces]))]);
}

/**
 * The program's JavaScript for a memory that threads share: such memory is not detached when it grows, and browsers take no text and
 * no random bytes from it or into it.
 */
export function glued(text) {
  const replace = (from, to, times = 1) => {
    const found = text.split(from).length - 1;
    if (found !== times) throw new Error(`wasm-bindgen's JavaScript contains ${from} ${found} times, not ${times}`);
    text = text.replaceAll(from, to);
  };
  const detached = /(cached\w+Memory0)\.byteLength === 0/g;
  if (!detached.test(text)) throw new Error("wasm-bindgen's JavaScript does not ask for detached memory");
  text = text.replace(detached, "$1.buffer !== wasm.memory.buffer");
  replace("decodeText(getUint8ArrayMemory0().subarray(", "decodeText(getUint8ArrayMemory0().slice(");
  replace("if (!('encodeInto' in cachedTextEncoder))", "");
  replace(
    "globalThis.crypto.getRandomValues(getArrayU8FromWasm0(arg0, arg1));",
    "getArrayU8FromWasm0(arg0, arg1).set(globalThis.crypto.getRandomValues(new Uint8Array(arg1)));",
  );
  return text;
}
