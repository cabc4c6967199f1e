// The first visit over a slow network: the engine is ready within 3.5 s on 10 Mbit/s, and whatever has to be waited for says
// how far it is.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { open, ready, slowness, until, visit } from "./harness.mjs";

let lab;
before(async () => (lab = await open({ webgpu: false, bitsPerSecond: 10e6, latencyMs: 20 })));
after(() => lab.close());

test("on 10 Mbit/s the engine is ready within 3.5 s, with its progress on the badge until then", async (context) => {
  const times = [];
  // The best of some: other work on this machine only adds to the time.
  while (times.length < 5 && !(Math.min(...times) <= 3500)) {
    const slow = await slowness(lab);
    const page = await visit(lab, null);
    await page.addInitScript(() => {
      // What the badge and the transport bar have said.
      window.said = { ".badge .wide": [], ".rate": [] };
      const note = () => {
        for (const [place, texts] of Object.entries(window.said)) {
          const text = document.querySelector(place)?.textContent;
          if (text && text !== texts.at(-1)) texts.push(text);
        }
      };
      new MutationObserver(note).observe(document, { subtree: true, childList: true, characterData: true });
    });
    const begun = Date.now();
    await page.goto(`${lab.url}#lab`);
    await ready(page);
    const spent = Date.now() - begun;
    context.diagnostic(`ready after ${spent} ms, where things take ${slow.toFixed(2)} times as long as they might`);
    times.push(spent / slow);
    await page.locator("[data-backend=cpu]").waitFor();
    await until(page, (event) => event.event === "configured");
    const said = await page.evaluate(() => window.said);
    const shares = (place, words) => said[place].map((text) => words.exec(text)?.[1]).filter(Boolean).map(Number);
    for (const [place, words] of [
      [".badge .wide", /^Engine ([\d.]+)%$/],
      [".rate", /^Data ([\d.]+)%/],
    ]) {
      const seen = shares(place, words);
      assert.ok(seen.length >= 5 && seen.some((share) => share > 20 && share < 80), `${place} has said ${said[place]}`);
      assert.deepEqual(seen.toSorted((a, b) => a - b), seen, "progress never falls");
    }
    assert.ok(said[".rate"].includes("Compiling"), `${said[".rate"]}`);
    assert.deepEqual(page.faults, []);
    await page.context().close();
  }
  assert.ok(Math.min(...times) <= 3500, `${times.join(", ")} ms`);
});
