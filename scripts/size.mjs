// Holds the two WASM files against their budgets, compressed as static hosts do it (brotli, quality 11).
import { readFileSync, readdirSync } from "node:fs";
import { brotliCompressSync, constants, gzipSync } from "node:zlib";

const files = readdirSync("dist");
const budgets = [
  ["page", /^app-[0-9a-f]+_bg\.wasm$/, 400_000],
  ["worker", /^worker_bg\.wasm$/, 1_600_000],
];

let over = 0;
for (const [name, pattern, budget] of budgets) {
  const found = files.filter((file) => pattern.test(file));
  if (found.length !== 1) throw new Error(`dist/ holds ${found.length} WASM files for the ${name}, not one`);
  const bytes = readFileSync(`dist/${found[0]}`);
  const brotli = brotliCompressSync(bytes, { params: { [constants.BROTLI_PARAM_SIZE_HINT]: bytes.length } }).length;
  const gzip = gzipSync(bytes, { level: 9 }).length;
  const kb = (n) => `${(n / 1000).toFixed(0)} KB`;
  const fits = brotli <= budget;
  if (!fits) over += 1;
  console.log(`size: ${name} ${kb(brotli)} brotli, ${kb(gzip)} gzip, ${kb(bytes.length)} raw; budget ${kb(budget)} brotli: ${fits ? "fits" : "TOO LARGE"}`);
}
process.exit(over ? 1 : 0);
