// Files of the person's own, made here: pictures, archives, NumPy arrays.
import { crc32, deflateSync } from "node:zlib";

const u16 = (value) => Buffer.from([value & 255, value >> 8]);
const u32 = (value) => Buffer.from(new Uint32Array([value]).buffer);

/** A zip archive of [path, content] entries, stored as they are. */
export function zip(entries) {
  const parts = [];
  const directory = [];
  let offset = 0;
  for (const [path, content] of entries) {
    const [name, bytes] = [Buffer.from(path), Buffer.from(content)];
    // Version 2.0, no flags, stored, 1 January 1980.
    const about = [u16(20), u16(0), u16(0), u16(0), u16(33), u32(crc32(bytes)), u32(bytes.length), u32(bytes.length), u16(name.length), u16(0)];
    const part = Buffer.concat([Buffer.from("PK\x03\x04"), ...about, name, bytes]);
    directory.push(Buffer.from("PK\x01\x02"), u16(20), ...about, u16(0), u16(0), u16(0), u32(0), u32(offset), name);
    parts.push(part);
    offset += part.length;
  }
  const index = Buffer.concat(directory);
  const count = u16(entries.length);
  return Buffer.concat([...parts, index, Buffer.from("PK\x05\x06"), u16(0), u16(0), count, count, u32(index.length), u32(offset), u16(0)]);
}

/** The entries of a zip archive that stores them as they are: path to content. */
export function unzip(archive) {
  const entries = new Map();
  for (let at = 0; archive.readUInt32LE(at) === 0x04034b50; ) {
    const [size, name, extra] = [archive.readUInt32LE(at + 18), archive.readUInt16LE(at + 26), archive.readUInt16LE(at + 28)];
    const first = at + 30 + name + extra;
    entries.set(archive.toString("utf8", at + 30, at + 30 + name), archive.subarray(first, first + size));
    at = first + size;
  }
  return entries;
}

/** An array of numbers of type `descr` (as NumPy names it) as a .npy file. */
export function npy(descr, shape, numbers) {
  const sizes = shape.map((size) => `${size},`).join("");
  const head = `{'descr': '${descr}', 'fortran_order': False, 'shape': (${sizes}), }\n`;
  return Buffer.concat([Buffer.from("\x93NUMPY\x01\x00", "latin1"), u16(head.length), Buffer.from(head), Buffer.from(numbers.buffer)]);
}

/** A grey PNG; `pixel(x, y)` is 0 to 255. With an `orientation` (Exif, 1 to 8) it says that it is shown turned. */
export function png(side, pixel, orientation) {
  const rows = Buffer.concat(
    Array.from({ length: side }, (_, y) => Buffer.from([0, ...Array.from({ length: side }, (_, x) => pixel(x, y))])),
  );
  const chunk = (kind, content) => {
    const body = Buffer.concat([Buffer.from(kind), content]);
    return Buffer.concat([u32(content.length).reverse(), body, u32(crc32(body)).reverse()]);
  };
  // Eight bits of grey, neither filtered nor interlaced.
  const header = Buffer.concat([u32(side).reverse(), u32(side).reverse(), Buffer.from([8, 0, 0, 0, 0])]);
  // One entry: tag 0x0112, a 16-bit number.
  const exif = orientation && Buffer.from([..."MM\0*\0\0\0\b\0\x01\x01\x12\0\x03\0\0\0\x01\0"].map((byte) => byte.charCodeAt(0)).concat(orientation, 0, 0));
  const shown = exif ? [chunk("eXIf", exif)] : [];
  return Buffer.concat([Buffer.from("\x89PNG\r\n\x1a\n", "latin1"), chunk("IHDR", header), ...shown, chunk("IDAT", deflateSync(rows)), chunk("IEND", Buffer.alloc(0))]);
}

/** The checksum of TensorBoard's records: a CRC-32C, turned and shifted. */
function masked(bytes) {
  let crc = ~0;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? 0x82f63b78 : 0);
  }
  crc = ~crc;
  return (((crc >>> 15) | (crc << 17)) + 0xa282ead8) >>> 0;
}

/** The fields of a protocol buffer: [number, value], a value being a number or bytes. */
function* fields(bytes) {
  let at = 0;
  const varint = () => {
    for (let value = 0, factor = 1; ; factor *= 128) {
      const byte = bytes[at++];
      value += (byte & 127) * factor;
      if (byte < 128) return value;
    }
  };
  while (at < bytes.length) {
    const key = varint();
    const kind = key & 7;
    if (kind === 0) yield [key >> 3, varint()];
    else if (kind === 1) yield [key >> 3, bytes.readDoubleLE((at += 8) - 8)];
    else if (kind === 5) yield [key >> 3, bytes.readFloatLE((at += 4) - 4)];
    else if (kind === 2) {
      const size = varint();
      yield [key >> 3, bytes.subarray(at, (at += size))];
    } else throw new Error(`field of kind ${kind}`);
  }
}

/** What an event file for TensorBoard says: {seconds, step, tag, value} of each scalar, and its first texts. Throws where a checksum is wrong. */
export function events(file) {
  const scalars = [];
  const texts = [];
  for (let at = 0; at < file.length; ) {
    const size = Number(file.readBigUInt64LE(at));
    const [length, record] = [file.subarray(at, at + 8), file.subarray(at + 12, at + 12 + size)];
    if (masked(length) !== file.readUInt32LE(at + 8) || masked(record) !== file.readUInt32LE(at + 12 + size)) throw new Error("a checksum is wrong");
    at += 16 + size;
    const event = new Map(fields(record));
    if (event.has(3)) texts.push(event.get(3).toString());
    for (const [, value] of event.has(5) ? fields(event.get(5)) : []) {
      const parts = new Map(fields(value));
      if (parts.has(2)) scalars.push({ seconds: event.get(1), step: event.get(2) ?? 0, tag: parts.get(1).toString(), value: parts.get(2) });
      const [text] = parts.has(8) ? [...fields(parts.get(8))].filter(([field]) => field === 8) : [];
      if (text) texts.push(text[1].toString());
    }
  }
  return { scalars, texts };
}
