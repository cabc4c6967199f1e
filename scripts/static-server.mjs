// A static file server for dist/, as any host would be, with the page's Content-Security-Policy as a header too.
import { createReadStream } from "node:fs";
import { readFile, stat } from "node:fs/promises";
import { createServer } from "node:http";
import { extname, join, normalize } from "node:path";

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

/**
 * Serves `directory` below `path` ("/" or "/some/path/") on 127.0.0.1; port 0 takes a free one.
 * Resolves to the running `server` and the page's `url`.
 */
export async function serve(directory, { path = "/", port = 0 } = {}) {
  const html = await readFile(join(directory, "index.html"), "utf8");
  const policy = /http-equiv="Content-Security-Policy"\s+content="([^"]*)"/.exec(html)?.[1];
  if (!policy) throw new Error(`${directory}/index.html has no Content-Security-Policy`);

  const server = createServer(async (request, response) => {
    const refuse = (status) => response.writeHead(status, { "content-type": "text/plain" }).end(`${status}\n`);
    try {
      if (request.method !== "GET" && request.method !== "HEAD") return refuse(405);
      let name = decodeURIComponent(new URL(request.url, "http://host").pathname);
      if (!name.startsWith(path)) return refuse(404);
      name = normalize(name.slice(path.length) || "index.html");
      if (name.startsWith("..") || name.includes("\0")) return refuse(404);
      const file = join(directory, name);
      const { size } = await stat(file).then((found) => (found.isFile() ? found : Promise.reject(new Error("no file"))));
      response.writeHead(200, {
        "content-type": TYPES[extname(file)] ?? "application/octet-stream",
        "content-length": size,
        "content-security-policy": policy,
        "x-content-type-options": "nosniff",
        "cache-control": "no-cache",
      });
      if (request.method === "HEAD") response.end();
      else createReadStream(file).pipe(response);
    } catch {
      if (!response.headersSent) refuse(404);
      else response.destroy();
    }
  });
  await new Promise((resolve, reject) => server.once("error", reject).listen(port, "127.0.0.1", resolve));
  return { server, url: `http://127.0.0.1:${server.address().port}${path}` };
}
