// dist/ as it is served: compressed copies to those who accept them, each the file itself, and nothing again that has not changed.
import assert from "node:assert/strict";
import { readFile, readdir } from "node:fs/promises";
import { after, before, test } from "node:test";
import { serve } from "../scripts/static-server.mjs";

const DIST = new URL("../dist/", import.meta.url).pathname;
let served;
before(async () => (served = await serve(DIST)));
after(() => {
  served.server.closeAllConnections();
  served.server.close();
});

const get = (name, headers) => fetch(served.url + name, { headers });

test("every program comes compressed where that is accepted, and is the same", async () => {
  const programs = (await readdir(DIST)).filter((name) => /\.(wasm|js|json|html)$/.test(name));
  assert.ok(programs.filter((name) => name.endsWith(".wasm")).length === 3, `${programs}`);
  for (const name of programs) {
    const plain = await readFile(DIST + name);
    for (const [accepted, encoding] of [
      ["gzip, deflate, br", "br"],
      ["gzip", "gzip"],
      ["br;q=0, gzip", "gzip"],
      ["identity", null],
    ]) {
      const answer = await get(name, { "accept-encoding": accepted });
      assert.equal(answer.headers.get("content-encoding"), encoding, `${name} for ${accepted}`);
      assert.equal(answer.headers.get("vary"), "accept-encoding");
      const { length } = plain;
      assert.ok(encoding === null || Number(answer.headers.get("content-length")) < 0.95 * length, name);
      assert.ok(plain.equals(Buffer.from(await answer.arrayBuffer())), `${name} as ${encoding} is another file`);
    }
  }
});

test("what has not changed is not sent again", async () => {
  for (const accepted of ["br", "gzip", "identity"]) {
    const headers = { "accept-encoding": accepted };
    const first = await get("index.html", headers);
    await first.arrayBuffer();
    const again = await get("index.html", { ...headers, "if-none-match": first.headers.get("etag") });
    assert.equal(again.status, 304);
    assert.equal((await again.arrayBuffer()).byteLength, 0);
  }
});

test("nothing outside of dist/ is served", async () => {
  for (const name of ["../Cargo.toml", "%2e%2e/Cargo.toml", "nothing.js"]) assert.equal((await get(name)).status, 404);
});
