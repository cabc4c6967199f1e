// Compressed copies of a file, as static hosts make them at their best.
import { promisify } from "node:util";
import { brotliCompress, constants, gzip } from "node:zlib";

/** A copy that is hardly smaller is not worth a file. */
const WORTH = 0.95;

/** The endings and bytes of the copies that are worth having: `.br` (quality 11) and `.gz` (level 9). */
export async function compressed(bytes) {
  // Which code of distances suits a file best shows when it is compressed.
  const brotli = (postfix) => {
    const params = { [constants.BROTLI_PARAM_SIZE_HINT]: bytes.length, [constants.BROTLI_PARAM_NPOSTFIX]: postfix };
    return promisify(brotliCompress)(bytes, { params });
  };
  // Side by side, as each takes one thread.
  const [plain, other, zipped] = await Promise.all([brotli(0), brotli(1), promisify(gzip)(bytes, { level: 9 })]);
  const copies = [other.length < plain.length ? other : plain, zipped];
  return [".br", ".gz"].map((ending, i) => [ending, copies[i]]).filter(([, copy]) => copy.length < WORTH * bytes.length);
}
