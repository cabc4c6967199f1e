// Holds the WASM files of dist/ against their budgets, compressed for hosts with brotli and for those with gzip alone.
import { readdirSync, statSync } from "node:fs";

const files = readdirSync("dist", { recursive: true });
// Name, file, budgets for brotli and gzip.
const budgets = [
  ["page", /^app-[0-9a-f]+_bg\.wasm$/, [460_000, 590_000]],
  ["lab worker", /^worker_bg\.wasm$/, [1_100_000, 1_550_000]],
  ["studies worker", /^studies-worker_bg\.wasm$/, [1_900_000, 2_700_000]],
  ["files for other tools", /^js.logs-program_bg\.wasm$/, [90_000, 100_000]],
];

let over = 0;
for (const [name, pattern, limits] of budgets) {
  const found = files.filter((file) => pattern.test(file));
  if (found.length !== 1) throw new Error(`dist/ holds ${found.length} WASM files for the ${name}, not one`);
  const bytes = (ending) => statSync(`dist/${found[0]}${ending}`).size;
  const kb = (n) => `${(n / 1000).toFixed(0)} KB`;
  const parts = [".br", ".gz"].map((ending, i) => {
    const fits = bytes(ending) <= limits[i];
    if (!fits) over += 1;
    return `${kb(bytes(ending))} ${ending.slice(1)} of ${kb(limits[i])}${fits ? "" : " TOO LARGE"}`;
  });
  console.log(`size: ${name} ${parts.join(", ")}; ${kb(bytes(""))} uncompressed`);
}
process.exit(over ? 1 : 0);
