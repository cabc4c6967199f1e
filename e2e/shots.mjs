// node e2e/shots.mjs [--wait SECONDS] [--no-webgpu] [--press KEY] [HASH ...]
// Screenshots of the given links (default: the start page), wide and phone, light and dark, into test-results/.
import { parseArgs } from "node:util";
import { VIEWPORTS, open, shot, visit } from "./harness.mjs";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    wait: { type: "string", default: "3" },
    press: { type: "string" },
    "no-webgpu": { type: "boolean", default: false },
  },
});

const lab = await open({ webgpu: !values["no-webgpu"] });
for (const hash of positionals.length ? positionals : [""]) {
  const name = hash.replace(/[^\w.-]+/g, "_").replace(/^_|_$/g, "").slice(0, 60) || "start";
  for (const viewport of Object.keys(VIEWPORTS)) {
    for (const scheme of ["light", "dark"]) {
      const page = await visit(lab, hash, { viewport, scheme });
      await page.waitForTimeout(500);
      if (values.press) await page.keyboard.press(values.press);
      await page.waitForTimeout(Number(values.wait) * 1000);
      console.log(await shot(page, `${name}-${viewport}-${scheme}`));
      for (const fault of new Set(page.faults)) console.log(`  ${fault}`);
      await page.context().close();
    }
  }
}
await lab.close();
