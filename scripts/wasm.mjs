// The binary format of WebAssembly, as far as the build reads and writes it.

/** An unsigned LEB128 number at a place, and the place after it. */
export function number(bytes, at) {
  let value = 0;
  for (let scale = 1; ; scale *= 128) {
    const byte = bytes[at++];
    value += (byte & 127) * scale;
    if (byte < 128) return [value, at];
  }
}

/** A number as LEB128. */
export const leb = (value) => (value < 128 ? [value] : [(value % 128) + 128, ...leb(Math.floor(value / 128))]);

/** Bytes with their length before them. */
export const sized = (bytes) => Buffer.concat([Buffer.from(leb(bytes.length)), bytes]);

/** The module's sections: kind, content, and the whole with kind and length. */
export function* sections(module) {
  for (let at = 8; at < module.length; ) {
    const [length, start] = number(module, at + 1);
    yield [module[at], module.subarray(start, start + length), module.subarray(at, start + length)];
    at = start + length;
  }
}
