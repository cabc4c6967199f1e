// The gallery, and each study run once in small: figures, verdict, cancel.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { open, ready, until, visit } from "./harness.mjs";

let lab;
before(async () => (lab = await open()));
after(() => lab.close());

test("the gallery shows the studies, and each has a page with its figures", async () => {
  const page = await visit(lab, "#studies");
  const { studies } = await until(page, (event) => event.event === "studies");
  assert.deepEqual(studies.map((study) => study.id), [1, 4, 14, 15, 48, 59]);
  for (const { id, title } of studies) {
    await page.goto(`${lab.url}#studies`);
    await page.locator(`a[data-study="${id}"]`).click();
    await page.getByRole("heading", { level: 1, name: title }).waitFor();
    assert.ok((await page.locator("[data-figure]").count()) > 0);
  }
  assert.deepEqual(page.faults, []);
  await page.context().close();
});
