// Compressed copies of a file, as static hosts make them at their best.
import { promisify } from "node:util";
import { brotliCompress, constants, gzip } from "node:zlib";

/** A copy that is hardly smaller is not worth a file. */
const WORTH = 0.95;

/** The endings and bytes of the copies that are worth having: `.br` (quality 11) and `.gz` (level 9). */
export async function compressed(bytes) {
  const params = { [constants.BROTLI_PARAM_SIZE_HINT]: bytes.length };
  // Side by side, as each takes one thread.
  const copies = await Promise.all([promisify(brotliCompress)(bytes, { params }), promisify(gzip)(bytes, { level: 9 })]);
  return [".br", ".gz"].map((ending, i) => [ending, copies[i]]).filter(([, copy]) => copy.length < WORTH * bytes.length);
}
