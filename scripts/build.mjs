// node scripts/build.mjs [--fast]: leaves the lab in dist/, as static files for any host. --fast leaves out wasm-opt and
// the compressed copies: larger and a little slower, built in half the time.
//
//   index.html                 app/index.html with the addresses of what the build makes
//   app-*.js, app-*_bg.wasm    the page's program
//   worker*, studies-worker*   the workers' programs; start-worker.js starts either, over memory that it can share
//   studies-*.json             the texts of all studies, as the program with the studies tells them
//   lessons-*.txt              the lessons of app/lessons, one behind the other
//   references-*.json          STUDIES.json: what each study came to, with a figure, for the gallery
//   published-*.json           CONTINUAL.json: what others have published, for the continual lab's help
//   words-*.txt                terms of the field that texts explain, from app/words.txt, and what controls do, as the program
//                              with the studies tells it
//   style-*.css                uPlot's and the page's own style sheets, joined
//   js/                        the page's own modules, uPlot's minified build and uqr's
//   js/logs-program*           the program that writes runs as files for other tools
//   sw.js                      the service worker, with the build's files and their hashes
//   *.br, *.gz                 beside each file that shrinks, for hosts that serve such copies
import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { cpSync, mkdirSync, readFileSync, readdirSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { basename, dirname, join, resolve, sep } from "node:path";
import { pathToFileURL } from "node:url";
import { arranged } from "./arrange.mjs";
import { compressed } from "./compress.mjs";
import { glued, shared, unloaded } from "./share.mjs";

const ROOT = resolve(import.meta.dirname, "..");
// Built beside dist/ and put in its place when it is whole.
const STAGE = "dist.new";
const TARGET = "wasm32-unknown-unknown";
const FEATURES = "bulk-memory mutable-globals multivalue nontrapping-float-to-int reference-types sign-ext simd threads";
const ENABLE = FEATURES.split(" ").map((feature) => `--enable-${feature}`);
const BY_NAME = "--reorder-functions-by-name";
// No address lies below 1,024, where the stack ends. The page carries no arithmetic, so small is fast; the workers are
// optimised for speed.
const wasmOpt = (...passes) => ["--low-memory-unused", ...passes, BY_NAME];
const SMALL = wasmOpt("-Oz", "--flatten", "--rereloop", "-Oz", "--flatten", "--rereloop", "-Oz", "-Oz", "-Oz");
// The compiler has inlined what pays; what it has left apart in the executor is apart so that browsers optimise it at once.
const FAST = wasmOpt("--no-inline=*engine::cpu::*", "-O3");
const STRIP = ["--strip-producers", "--strip-target-features"];
const WORKERS = ["worker", "studies-worker"];

process.chdir(ROOT);
const fast = process.argv.includes("--fast");
process.env.PATH = [join(ROOT, ".tools/bin"), join(ROOT, "node_modules/.bin"), process.env.PATH].join(":");

/** Runs a program to its end; fails where it does. */
const run = (command, ...args) =>
  new Promise((done, fail) => {
    const child = spawn(command, args, { stdio: "inherit" });
    child.once("error", fail);
    child.once("close", (code) => (code === 0 ? done() : fail(new Error(`${command} ${args[0]} ended with ${code}`))));
  });

// Programs tell in which file they trap: the same on every machine, whatever its user's home is called.
const registry = join(process.env.CARGO_HOME ?? join(homedir(), ".cargo"), "registry/src");
const config = `target.${TARGET}.rustflags=${JSON.stringify([`--remap-path-prefix=${registry}=`])}`;
const cargo = (profile, packages, programs, features) =>
  run(
    ...["cargo", "build", "--config", config, "--target", TARGET, "--profile", profile, ...packages.flatMap((name) => ["-p", name])],
    ...[...programs.flatMap((name) => ["--bin", name]), ...(features ? ["--features", features] : [])],
  );

/**
 * Binds a compiled program to JavaScript and makes it small or fast; it becomes `as.js` and `as_bg.wasm`. Its memory may be one that
 * threads share.
 */
async function bind(profile, name, passes, shares, as = name) {
  const compiled = `target/${TARGET}/${profile}/${name}.wasm`;
  const [glue, bound] = [join(STAGE, `${as}.js`), join(STAGE, `${as}_bg.wasm`)];
  await run("wasm-bindgen", "--target", "web", "--no-typescript", "--out-dir", dirname(glue), "--out-name", basename(as), compiled);
  const change = (file, how) => writeFileSync(file, how(readFileSync(file)));
  if (shares) {
    change(glue, (text) => glued(text.toString()));
    change(bound, shared);
  }
  if (!fast) {
    await run("wasm-opt", bound, "-o", bound, ...passes, ...STRIP, ...ENABLE);
    // Kindred names lie side by side; now like code does, which compresses better.
    change(bound, arranged);
    await run("wasm-opt", bound, "-o", bound, BY_NAME, ...ENABLE);
  }
  if (shares) change(bound, unloaded);
}

const hash = (...parts) => {
  const sha = createHash("sha256");
  for (const part of parts) sha.update(part);
  return sha.digest("hex").slice(0, 16);
};
const read = (name) => readFileSync(join(STAGE, name));
const list = (folder, ending) => readdirSync(folder).filter((name) => name.endsWith(ending)).sort();

/** Replaces `mark`, which must occur exactly once: a silent miss would ship a broken page. */
const fill = (text, mark, value, where) => {
  if (text.split(mark).length !== 2) throw new Error(`${where} must contain ${mark} exactly once`);
  return text.replace(mark, () => value);
};

/** Puts the hash of a file's content into its name, which it returns. */
function nameByContent(before, after, ending) {
  const name = `${before}-${hash(read(before + ending))}${after}`;
  renameSync(join(STAGE, before + ending), join(STAGE, name));
  return name;
}

/** The page's style sheet; returns its name. */
function style() {
  const own = list("app/style", ".css").map((name) => `app/style/${name}`);
  const sheets = ["node_modules/uplot/dist/uPlot.min.css", ...own].map((name) => readFileSync(name, "utf8").trim());
  writeFileSync(join(STAGE, "style.css"), `${sheets.join("\n")}\n`);
  return nameByContent("style", ".css", ".css");
}

/** The page's modules; returns their names. */
function modules() {
  cpSync("app/js", join(STAGE, "js"), { recursive: true });
  const uplot = readFileSync("node_modules/uplot/dist/uPlot.iife.min.js", "utf8");
  writeFileSync(join(STAGE, "js/uplot.js"), `${uplot}\nexport default uPlot;\n`);
  const licence = readFileSync("node_modules/uqr/LICENSE", "utf8").trim();
  writeFileSync(join(STAGE, "js/uqr.js"), `/*! uqr\n\n${licence}\n*/\n${readFileSync("node_modules/uqr/dist/index.mjs", "utf8")}`);
  return list(join(STAGE, "js"), ".js").map((name) => `js/${name}`);
}

/** The program with the studies, which tells texts. */
async function teller() {
  const program = await import(pathToFileURL(resolve(STAGE, "studies-worker.js")).href);
  const { laid } = await import(pathToFileURL(resolve(STAGE, "js/threads.js")).href);
  const module = new WebAssembly.Module(read("studies-worker_bg.wasm"));
  program.initSync({ module, memory: laid(module) });
  return program;
}

/** The texts of all studies, with what each came to but for its figure; returns the file's name. */
function studies(program) {
  const known = new Map(JSON.parse(readFileSync("STUDIES.json", "utf8")).map((reference) => [reference.id, { ...reference, figure: {} }]));
  const cards = JSON.parse(program.cards()).map((card) => ({ ...card, reference: known.get(card.id) ?? null }));
  writeFileSync(join(STAGE, "studies.json"), JSON.stringify(cards));
  return nameByContent("studies", ".json", ".json");
}

/** The lessons as one file: parted by form feeds, the name of each in a line before it. Returns the file's name. */
function lessons() {
  const parts = list("app/lessons", ".md").map((name) => {
    return `${name.replace(/^\d+-|\.md$/g, "")}\n${readFileSync(join("app/lessons", name), "utf8")}`;
  });
  writeFileSync(join(STAGE, "lessons.txt"), parts.join("\f"));
  return nameByContent("lessons", ".txt", ".txt");
}

/** Terms and what they mean, and behind a form feed what controls do, a line each; returns the file's name. */
function words(program) {
  writeFileSync(join(STAGE, "words.txt"), `${readFileSync("app/words.txt", "utf8").trim()}\f${program.lines()}\n`);
  return nameByContent("words", ".txt", ".txt");
}

/** A file as it is; returns its name. */
function copied(from, name, ending) {
  cpSync(from, join(STAGE, name + ending));
  return nameByContent(name, ending, ending);
}

mkdirSync(STAGE, { recursive: true });
rmSync(STAGE, { recursive: true });
mkdirSync(STAGE);
await cargo("page", ["app"], ["app"]);
const page = bind("page", "app", SMALL);
// A failure is seen where it is waited for.
page.catch(() => {});
// By itself, so that it turns on no feature of what the page is made of.
await cargo("page", ["logs"], ["logs"], "logs/page");
const logs = bind("page", "logs", SMALL, false, "js/logs-program");
logs.catch(() => {});
await cargo("release", ["engine", "studies"], WORKERS, "engine/worker,studies/worker");
await Promise.all([page, logs, ...WORKERS.map((name) => bind("release", name, FAST, true))]);

cpSync("public", STAGE, { recursive: true });
for (const name of ["start.js", "start-worker.js"]) cpSync(join("app", name), join(STAGE, name));
// The program that tells texts imports one of them.
const scripts = modules();
const told = await teller();
const files = { style: style(), studies: studies(told), words: words(told), lessons: lessons() };
files.published = copied("CONTINUAL.json", "published", ".json");
files.references = copied("STUDIES.json", "references", ".json");
files["page-wasm"] = nameByContent("app", "_bg.wasm", "_bg.wasm");
files["page-js"] = nameByContent("app", ".js", ".js");
// The maker of QR codes and the writer of files are fetched when one is asked for, the engine's threads by the engine.
const LATER = ["js/uqr.js", "js/logs-program.js", "js/threads.js", "js/helper.js"];
files.preloads = scripts.filter((name) => !LATER.includes(name)).map((name) => `<link rel="modulepreload" href="${name}" />`).join("\n    ");

// Addresses of files whose names are fixed: each program's carry its version, that of the file that starts it also the
// program's name and the length of its code, which tells how much of it has arrived.
const addresses = new Map([["index.html", [""]], ["start-worker.js", []]]);
for (const program of WORKERS) {
  const own = [`${program}.js`, `${program}_bg.wasm`];
  const version = `v=${hash(...["start-worker.js", ...own].map(read))}`;
  for (const name of own) addresses.set(name, [`${name}?${version}`]);
  const start = `start-worker.js?program=${program}&bytes=${read(own[1]).length}&${version}`;
  addresses.get("start-worker.js").push(start);
  files[program] = start.replaceAll("&", "&amp;");
}

let html = readFileSync("app/index.html", "utf8");
for (const [what, name] of Object.entries(files)) html = fill(html, `{${what}}`, name, "index.html");
writeFileSync(join(STAGE, "index.html"), html);

const all = readdirSync(STAGE, { recursive: true })
  .filter((name) => statSync(join(STAGE, name)).isFile())
  .map((name) => name.split(sep).join("/"))
  .sort();
const kept = all
  .filter((name) => name !== "sw.js")
  .flatMap((name) => (addresses.get(name) ?? [name]).map((address) => [address, hash(read(name))]));
writeFileSync(join(STAGE, "sw.js"), fill(read("sw.js").toString(), "[/* files */]", JSON.stringify(kept), "sw.js"));

if (!fast) {
  for (const name of all) {
    for (const [ending, bytes] of await compressed(read(name))) writeFileSync(join(STAGE, name + ending), bytes);
  }
}
rmSync("dist", { recursive: true, force: true });
renameSync(STAGE, "dist");
