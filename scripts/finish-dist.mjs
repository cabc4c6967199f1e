// Trunk's post_build hook: what Trunk leaves open in dist/.
//   style-*.css  uPlot's and the page's style sheets, joined
//   js/          the page's own modules, and uPlot's minified build as one more
//   index.html   names the style sheet, preloads the modules, gives each worker's address its program and version
//   sw.js        the service worker learns the build's files and their hashes
import { createHash } from "node:crypto";
import { cpSync, readFileSync, readdirSync, statSync, writeFileSync } from "node:fs";
import { join, relative, sep } from "node:path";

const dist = process.env.TRUNK_STAGING_DIR ?? "dist";
const root = process.env.TRUNK_SOURCE_DIR ? join(process.env.TRUNK_SOURCE_DIR, "..") : ".";
const hash = (...parts) => {
  const sha = createHash("sha256");
  for (const part of parts) sha.update(part);
  return sha.digest("hex").slice(0, 16);
};
const read = (name) => readFileSync(join(dist, name));

/** Replaces `mark`, which must occur exactly once: a silent miss would ship a broken page. */
const fill = (text, mark, value, where) => {
  if (text.split(mark).length !== 2) throw new Error(`${where} must contain ${mark} exactly once`);
  return text.replace(mark, () => value);
};

const list = (folder, ending) => readdirSync(folder).filter((name) => name.endsWith(ending)).sort();

const sheets = ["node_modules/uplot/dist/uPlot.min.css", ...list(join(root, "app/style"), ".css").map((name) => `app/style/${name}`)];
const css = sheets.map((name) => readFileSync(join(root, name), "utf8").trim()).join("\n");
const style = `style-${hash(css)}.css`;
writeFileSync(join(dist, style), `${css}\n`);

cpSync(join(root, "app/js"), join(dist, "js"), { recursive: true, filter: (name) => !name.endsWith(".gitkeep") });
const uplot = readFileSync(join(root, "node_modules/uplot/dist/uPlot.iife.min.js"), "utf8");
writeFileSync(join(dist, "js/uplot.js"), `${uplot}\nexport default uPlot;\n`);
const preloads = list(join(dist, "js"), ".js").map((name) => `<link rel="modulepreload" href="js/${name}">`).join("");

// Each program's files carry its version in their address, the file that starts it the program's name as well.
const addresses = new Map();
let html = read("index.html").toString();
for (const program of ["worker", "studies-worker"]) {
  const own = [`${program}.js`, `${program}_bg.wasm`];
  const version = `v=${hash(...["start-worker.js", ...own].map(read))}`;
  const start = `start-worker.js?program=${program}&${version}`;
  for (const name of own) addresses.set(name, [`${name}?${version}`]);
  addresses.set("start-worker.js", [...(addresses.get("start-worker.js") ?? []), start]);
  const meta = `<meta name="${program}" content="`;
  html = fill(html, `${meta}start-worker.js"`, `${meta}${start.replace("&", "&amp;")}"`, "index.html");
}
html = fill(html, 'href="style.css"', `href="${style}"`, "index.html");
html = fill(html, "</head>", `${preloads}</head>`, "index.html");
writeFileSync(join(dist, "index.html"), html);

const files = readdirSync(dist, { recursive: true })
  .filter((name) => statSync(join(dist, name)).isFile() && name !== "sw.js")
  .map((name) => relative(".", name).split(sep).join("/"))
  .sort()
  .flatMap((name) => (addresses.get(name) ?? [name === "index.html" ? "" : name]).map((address) => [address, hash(read(name))]));
const worker = fill(read("sw.js").toString(), "[/* files */]", JSON.stringify(files), "sw.js");
writeFileSync(join(dist, "sw.js"), worker);
