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

/** What a section of imports names: the kind of each, and where that is described. */
export function* imports(content) {
  let [count, at] = number(content, 0);
  for (; count > 0; count--) {
    for (let name = 0; name < 2; name++) {
      const [length, start] = number(content, at);
      at = start + length;
    }
    const kind = content[at++];
    yield [kind, at];
    if (kind === 0) {
      at = number(content, at)[1];
    } else if (kind === 3) {
      at += 2;
    } else {
      // A table has a type before its limits.
      if (kind === 1) at++;
      for (let limits = 1 + (content[at++] & 1); limits > 0; limits--) at = number(content, at)[1];
    }
  }
}
