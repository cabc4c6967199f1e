// A static file server for dist/, as a good host would be: compressed copies to those who accept them, a tag for each content,
// the page's Content-Security-Policy as a header too, and headers that let threads share memory.
import { createReadStream } from "node:fs";
import { readFile, stat } from "node:fs/promises";
import { createServer } from "node:http";
import { extname, join, normalize } from "node:path";
import { pipeline } from "node:stream/promises";
import { setTimeout as sleep } from "node:timers/promises";

const TYPES = {
  ".css": "text/css; charset=utf-8",
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".json": "application/json; charset=utf-8",
  ".png": "image/png",
  ".svg": "image/svg+xml",
  ".txt": "text/plain; charset=utf-8",
  ".wasm": "application/wasm",
  ".webmanifest": "application/manifest+json",
};

/** Endings of compressed copies, the smallest first, by the name of their encoding. */
const ENCODINGS = [
  ["br", ".br"],
  ["gzip", ".gz"],
];

/** Headers that let threads share memory. */
const ISOLATION = { "cross-origin-opener-policy": "same-origin", "cross-origin-embedder-policy": "require-corp" };
/** Hosts that browsers trust without https: elsewhere they would only complain about these headers. */
const LOCAL = /^(localhost|127\.0\.0\.1)(:|$)/;

const isFile = (path) => stat(path).then((found) => found.isFile(), () => false);

/** Whether an Accept-Encoding header allows an encoding. */
const accepts = (header, encoding) =>
  header.split(",").some((part) => {
    const [name, weight] = part.split(";").map((piece) => piece.trim());
    return name === encoding && !/^q=0(\.0*)?$/.test(weight ?? "");
  });

/** The file to send for `path`: its smallest copy that the header allows, and that copy's encoding. */
async function copy(path, header) {
  for (const [encoding, ending] of ENCODINGS) {
    if (accepts(header, encoding) && (await isFile(path + ending))) return [path + ending, encoding];
  }
  return [path, undefined];
}

/** Lets so many bits through a second, all answers together. */
class Line {
  #free = 0;
  constructor(bitsPerSecond) {
    this.msPerByte = 8000 / bitsPerSecond;
  }
  /** Waits until so many bytes have gone through. */
  async pass(bytes) {
    this.#free = Math.max(this.#free, performance.now()) + bytes * this.msPerByte;
    const wait = this.#free - performance.now();
    if (wait > 0) await sleep(wait);
  }
  async *slowed(stream) {
    for await (const chunk of stream) {
      await this.pass(chunk.length);
      yield chunk;
    }
  }
}

/**
 * Serves `directory` below `path` ("/" or "/some/path/") on 127.0.0.1; port 0 takes a free one. `bitsPerSecond` and
 * `latencyMs` make it as slow as a network: the browser's own emulation leaves out what workers fetch. Without `isolated` it sends no
 * headers that let threads share memory, like most hosts.
 * Resolves to the running `server`, the page's `url`, and `cut`, which takes the network away (true) and gives it back.
 */
export async function serve(directory, { path = "/", port = 0, bitsPerSecond = Infinity, latencyMs = 0, isolated = true } = {}) {
  const line = new Line(bitsPerSecond);
  const html = await readFile(join(directory, "index.html"), "utf8");
  const policy = /http-equiv="Content-Security-Policy"\s+content="([^"]*)"/.exec(html)?.[1];
  if (!policy) throw new Error(`${directory}/index.html has no Content-Security-Policy`);

  const server = createServer(async (request, response) => {
    const refuse = (status) => response.writeHead(status, { "content-type": "text/plain" }).end(`${status}\n`);
    try {
      if (latencyMs) await sleep(latencyMs);
      if (request.method !== "GET" && request.method !== "HEAD") return refuse(405);
      let name = decodeURIComponent(new URL(request.url, "http://host").pathname);
      if (!name.startsWith(path)) return refuse(404);
      name = normalize(name.slice(path.length) || "index.html");
      if (name.startsWith("..") || name.includes("\0")) return refuse(404);
      const wanted = join(directory, name);
      if (!(await isFile(wanted))) return refuse(404);
      const [file, encoding] = await copy(wanted, request.headers["accept-encoding"] ?? "");
      const { size, mtimeMs } = await stat(file);
      const tag = `"${size.toString(36)}-${Math.round(mtimeMs).toString(36)}${encoding ? `-${encoding}` : ""}"`;
      const headers = {
        "content-security-policy": policy,
        ...(isolated && LOCAL.test(request.headers.host) ? ISOLATION : {}),
        "x-content-type-options": "nosniff",
        "cache-control": "no-cache",
        vary: "accept-encoding",
        etag: tag,
      };
      if (request.headers["if-none-match"] === tag) return response.writeHead(304, headers).end();
      response.writeHead(200, {
        ...headers,
        "content-type": TYPES[extname(wanted)] ?? "application/octet-stream",
        "content-length": size,
        ...(encoding ? { "content-encoding": encoding } : {}),
      });
      if (request.method === "HEAD") response.end();
      else await pipeline(createReadStream(file, { highWaterMark: 16_384 }), (stream) => line.slowed(stream), response);
    } catch {
      if (!response.headersSent) refuse(404);
      else response.destroy();
    }
  });
  let down = false;
  server.on("connection", (socket) => down && socket.destroy());
  const cut = (away) => {
    down = away;
    if (down) server.closeAllConnections();
  };
  await new Promise((resolve, reject) => server.once("error", reject).listen(port, "127.0.0.1", resolve));
  return { server, url: `http://127.0.0.1:${server.address().port}${path}`, cut };
}
