// Compressed copies of a file, as static hosts make them at their best.
import { promisify } from "node:util";
import { brotliCompress, constants, gzip } from "node:zlib";

/** Codes of distances that are tried: bits that many share, and short distances that have codes of their own. */
const CODES = [[0, 0], [0, 14], [1, 0], [1, 30]];

/** A copy that is hardly smaller is not worth a file. */
const WORTH = 0.95;

/** The endings and bytes of the copies that are worth having: `.br` (quality 11) and `.gz` (level 9). */
export async function compressed(bytes) {
  // Which code of distances suits a file best shows when it is compressed.
  const brotli = ([postfix, direct]) => {
    const codes = { [constants.BROTLI_PARAM_NPOSTFIX]: postfix, [constants.BROTLI_PARAM_NDIRECT]: direct };
    return promisify(brotliCompress)(bytes, { params: { [constants.BROTLI_PARAM_SIZE_HINT]: bytes.length, ...codes } });
  };
  // A program is fetched by everyone who comes: it is worth the time. Side by side, as each takes one thread.
  const codes = bytes.subarray(1, 4).toString() === "asm" ? CODES : CODES.slice(0, 1);
  const [zipped, ...tried] = await Promise.all([promisify(gzip)(bytes, { level: 9 }), ...codes.map(brotli)]);
  const copies = [tried.reduce((best, one) => (one.length < best.length ? one : best)), zipped];
  return [".br", ".gz"].map((ending, i) => [ending, copies[i]]).filter(([, copy]) => copy.length < WORTH * bytes.length);
}
