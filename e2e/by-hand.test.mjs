// Try it yourself: a point of the data is moved, pictures of a confused cell are left out, a picture is dropped on the page.
// What was done is in the link, and the link trains the same.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { png } from "./files.mjs";
import { drop, losses, open, ready, share, state, transport, until, visit } from "./harness.mjs";

let lab;
before(async () => (lab = await open({ webgpu: false })));
after(() => lab.close());

const PLANE = "#lab?preset=mlp&data=spirals&data.train=200&model.hidden=16&batch.size=20&probes.look=20&probes.curvature=0&v=2";

const run = (page) => page.getByRole("button", { name: "Run", exact: true }).click();
const edited = (page, path, from = 0) => until(page, (event) => event.event === "edited" && event.edit.path === path, { from });

/** Opens the link of a run elsewhere and has it trained: it must have the same losses. */
async function replays(page) {
  const hash = await share(page);
  const other = await visit(lab, hash);
  await ready(other);
  await run(other);
  await state(other, "done");
  assert.deepEqual(losses(other), losses(page));
  assert.deepEqual([...page.faults, ...other.faults], []);
  await other.context().close();
  return hash;
}

/** Where a training point is on the screen; `to`: where a place of the plane is. */
async function plane(page) {
  const figure = page.locator('[data-figure="regions"]');
  await figure.scrollIntoViewIfNeeded();
  const handle = figure.locator(".handle.point");
  const middle = async () => {
    const box = await handle.boundingBox();
    return [box.x + box.width / 2, box.y + box.height / 2];
  };
  return { figure, handle, middle };
}

test("a point is dragged while it trains, the regions follow, and the link replays it", async () => {
  const page = await visit(lab, `${PLANE}&steps=400`);
  await ready(page);
  await page.getByRole("combobox", { name: "Pace" }).selectOption("10×");
  await run(page);
  await until(page, (event) => event.event === "look" && event.figures.some(({ id }) => id === "regions"));
  const { handle, middle } = await plane(page);
  const [x, y] = await middle();
  await page.mouse.move(x, y);
  await page.mouse.down();
  await page.mouse.move(x + 40, y - 30, { steps: 5 });
  // Held still, it counts as put there.
  const first = await edited(page, "data.moved");
  assert.match(first.edit.value, /^0:-?[\d.]+:-?[\d.]+$/);
  assert.ok(first.edit.step > 0);
  const from = page.events.length;
  await page.mouse.move(x + 60, y + 20, { steps: 5 });
  await page.mouse.up();
  const second = await edited(page, "data.moved", from);
  assert.notEqual(second.edit.value, first.edit.value);
  // The figure has the point where the hand has left it.
  const to = second.edit.value.split(":").slice(1).map(Number);
  const look = await until(page, (event) => event.event === "look" && event.figures.some(({ id }) => id === "regions"), { from: page.events.indexOf(second) });
  const { points } = look.figures.find(({ id }) => id === "regions").marks[1].scatter;
  assert.ok(Math.hypot(points[0][0] - to[0], points[0][1] - to[1]) < 1e-3, `${points[0]} is not ${to}`);
  const [nowX, nowY] = await middle();
  assert.ok(Math.hypot(nowX - x - 60, nowY - y - 20) < 3);
  await page.getByRole("combobox", { name: "Pace" }).selectOption("max");
  await state(page, "done");
  await page.getByText("1 point moved").waitFor();
  const hash = await replays(page);
  assert.match(hash, /edit=\d+:data\.moved=0:/);
  await page.context().close();
});

test("by keyboard: a point is chosen, moved and put back; what has ended is trained on", async () => {
  const page = await visit(lab, `${PLANE}&steps=60`);
  await ready(page);
  await run(page);
  await state(page, "done");
  const { handle, figure } = await plane(page);
  await handle.waitFor();
  await handle.focus();
  await page.keyboard.press("PageDown");
  await page.keyboard.press("PageDown");
  const name = await handle.getAttribute("aria-label");
  assert.match(name, /^Training point: arm \d/);
  for (let i = 0; i < 4; i++) await page.keyboard.press("ArrowRight");
  const moved = await edited(page, "data.moved");
  assert.match(moved.edit.value, /^2:/);
  assert.equal(moved.edit.step, 60);
  const panel = page.locator(".by-hand");
  await panel.getByRole("button", { name: "Train on" }).click();
  await state(page, "done");
  assert.equal(Number(await transport(page).getAttribute("data-step")), 90);
  await replays(page);
  let from = page.events.length;
  await handle.focus();
  await page.keyboard.press("Delete");
  assert.equal((await edited(page, "data.moved", from)).edit.value, "");
  from = page.events.length;
  await panel.getByRole("button", { name: "Undo" }).click();
  assert.match((await edited(page, "data.moved", from)).edit.value, /^2:/);
  // A run from the start keeps what was done by hand.
  from = page.events.length;
  await page.getByRole("button", { name: "Run again" }).click();
  await until(page, (event) => event.event === "state" && event.state === "done", { from });
  assert.match(await share(page), /data\.moved=2:/);
  await panel.getByRole("button", { name: "Put all back" }).waitFor();
  assert.ok(await panel.getByRole("button", { name: "Undo" }).isDisabled(), "what was done in another run is undone in this one");
  assert.equal(await figure.count(), 1);
  assert.deepEqual(page.faults, []);
  await page.context().close();
});

test("on a phone a point is tapped, then dragged", async () => {
  const page = await visit(lab, `${PLANE}&steps=60`, { viewport: "phone" });
  await ready(page);
  await run(page);
  await state(page, "done");
  const { figure, handle } = await plane(page);
  const box = await figure.locator(".places").boundingBox();
  await page.touchscreen.tap(box.x + box.width * 0.62, box.y + box.height * 0.5);
  const at = await handle.boundingBox();
  assert.ok(Math.abs(at.x + at.width / 2 - box.x - box.width * 0.62) < 40, JSON.stringify([at, box]));
  // The page scrolls where no point is held.
  assert.equal(await handle.evaluate((handle) => getComputedStyle(handle).touchAction), "none");
  assert.equal(await figure.locator(".places").evaluate((over) => getComputedStyle(over).touchAction), "auto");
  const touch = await page.context().newCDPSession(page);
  const [x, y] = [at.x + at.width / 2, at.y + at.height / 2];
  const finger = (type, ...points) => touch.send("Input.dispatchTouchEvent", { type, touchPoints: points.map(([x, y]) => ({ x, y })) });
  await finger("touchStart", [x, y]);
  for (let i = 1; i <= 5; i++) await finger("touchMove", [x - 6 * i, y - 4 * i]);
  await finger("touchEnd");
  assert.match((await edited(page, "data.moved")).edit.value, /^\d+:-?[\d.]+:-?[\d.]+$/);
  const now = await handle.boundingBox();
  assert.ok(Math.hypot(now.x - at.x + 30, now.y - at.y + 20) < 3, JSON.stringify([at, now]));
  assert.deepEqual(page.faults, []);
  await page.context().close();
});

test("the pictures of a confused cell are shown, left out and brought back, and the link replays it", async () => {
  const page = await visit(lab, "#lab?preset=mlp&data=digits&data.label_noise=0.2&steps=200&probes.curvature=0&v=2");
  await ready(page);
  await run(page);
  await state(page, "done");
  const matrix = page.locator('[data-figure="confusion"]');
  await matrix.scrollIntoViewIfNeeded();
  // Truth 8, guess 1, by pointer.
  const cells = matrix.locator(".places");
  const place = matrix.locator(".place");
  // It is drawn once it is in view, and what is hidden takes no focus.
  await place.waitFor();
  await place.focus();
  for (let i = 0; i < 8; i++) await page.keyboard.press("ArrowDown");
  await page.keyboard.press("ArrowRight");
  assert.match(await place.getAttribute("aria-label"), /^Truth and guess: 8 · 1/);
  await page.keyboard.press("Enter");
  const pictures = page.locator('[data-figure="cell"]');
  await pictures.waitFor();
  await pictures.getByText("Labelled 8 or 1").waitFor();
  assert.equal(await place.getAttribute("aria-pressed"), "true");
  await page.getByText(/they judge the network and stay/).waitFor();
  await cells.waitFor();
  // Two of them, one by pointer, one by key.
  const tile = pictures.locator(".place");
  await pictures.scrollIntoViewIfNeeded();
  await tile.waitFor();
  const box = await tile.boundingBox();
  await page.mouse.click(box.x + box.width / 2, box.y + box.height / 2);
  await tile.focus();
  await page.keyboard.press("ArrowRight");
  await page.keyboard.press("Enter");
  const from = page.events.length;
  await page.getByRole("button", { name: "Leave 2 out" }).click();
  const { edit } = await edited(page, "data.dropped", from);
  assert.match(edit.value, /^\d+,\d+$/);
  await page.getByText("2 pictures left out").waitFor();
  await page.getByText(/, 2 left out/).waitFor();
  await page.locator(".by-hand").getByRole("button", { name: "Train on" }).click();
  await state(page, "done");
  assert.equal(Number(await transport(page).getAttribute("data-step")), 300);
  const hash = await replays(page);
  assert.ok(hash.includes(`edit=200:data.dropped=${edit.value}`), hash);
  const then = page.events.length;
  await page.locator(".by-hand").getByRole("button", { name: "Undo" }).click();
  assert.equal((await edited(page, "data.dropped", then)).edit.value, "");
  assert.deepEqual(page.faults, []);
  await page.context().close();
});

test("a picture that is dropped or chosen is told apart, and again while the network learns", async () => {
  const page = await visit(lab, "#lab?preset=mlp&data=mnist&steps=400&probes.curvature=0&v=2");
  await ready(page);
  const panel = page.getByRole("region", { name: "Try it yourself" });
  await panel.waitFor();
  // Its hidden parts make the page no wider.
  assert.equal(await page.evaluate(() => document.documentElement.scrollWidth - innerWidth), 0);
  // A one, dark on paper, as it is on a photograph.
  const one = png(60, (x, y) => (Math.abs(x - 30) < 4 && y > 8 && y < 52 ? 20 : 235));
  await drop(page, "one.png", one);
  const figure = panel.locator('[data-figure="own_picture"]');
  await figure.waitFor();
  await run(page);
  await state(page, "done");
  assert.match(await figure.locator(".now").innerText(), /^1 \(\d+%\)$/);
  const looks = page.events.filter((event) => event.event === "look" && event.figures.some(({ id }) => id === "own_picture"));
  assert.ok(new Set(looks.map((event) => event.step)).size > 2);
  assert.equal(page.events.some((event) => event.event === "data_imported"), false);
  await panel.getByRole("button", { name: "Clear" }).click();
  await figure.waitFor({ state: "detached" });
  // From a file dialog, as on a phone.
  const from = page.events.length;
  await panel.locator("input[type=file]").setInputFiles({ name: "one.png", mimeType: "image/png", buffer: one });
  await until(page, (event) => event.event === "look" && event.figures.some(({ id }) => id === "own_picture"), { from });
  // What is no picture is said.
  await drop(page, "no.png", Buffer.from("nothing"));
  await page.getByText(/no\.png is no picture that can be read/).waitFor();
  assert.deepEqual(page.faults, []);
  await page.context().close();
});
