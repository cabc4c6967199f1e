// When a figure is drawn: only while it can be seen, at most once a frame, and again when its size or the theme changes.

/** What drawing may take of a frame. Figures for which none is left are the first of the next one. */
const FRAME_MS = 12;
const waiting = new Set();
let frame = 0;
const ask = () => (frame ||= requestAnimationFrame(drawWaiting));
function drawWaiting() {
  frame = 0;
  const end = performance.now() + FRAME_MS;
  for (const draw of waiting) {
    waiting.delete(draw);
    draw();
    if (performance.now() > end) break;
  }
  if (waiting.size) ask();
}

const shown = new WeakMap();
const eyes = new IntersectionObserver((entries) => {
  for (const { target, isIntersecting } of entries) shown.get(target)?.see(isIntersecting);
}, { rootMargin: "80px" });
const rulers = new ResizeObserver((entries) => {
  for (const { target, contentRect } of entries) shown.get(target)?.resize(contentRect.width, contentRect.height);
});
const all = new Set();
const redrawAll = () => all.forEach((surface) => surface.invalidate());
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redrawAll);
addEventListener("minibatch:theme", redrawAll);

export class Surface {
  #host;
  #draw;
  #visible = false;
  #dirty = true;
  /** As last told: asking the element would lay out the page once for every drawing of a frame. */
  #size = [0, 0];

  /**
   * Calls `draw(width, height)` in CSS pixels of `host` whenever it has to be drawn anew. Before it does so because the
   * browser has lost what was on a canvas, and the canvas' settings with it, it calls `forget`.
   */
  constructor(host, draw, forget = () => {}) {
    this.#host = host;
    this.#draw = draw;
    // These events do not bubble, so they are caught on their way down.
    host.addEventListener("contextrestored", () => {
      forget();
      this.invalidate();
    }, true);
    shown.set(host, this);
    all.add(this);
    eyes.observe(host);
    rulers.observe(host);
  }

  invalidate() {
    this.#dirty = true;
    if (!this.#visible) return;
    waiting.add(this.#run);
    ask();
  }

  resize(width, height) {
    this.#size = [Math.floor(width), Math.floor(height)];
    this.invalidate();
  }

  see(visible) {
    this.#visible = visible;
    if (visible && this.#dirty) this.invalidate();
  }

  #run = () => {
    const [width, height] = this.#size;
    if (!this.#visible || width < 8 || height < 8) return;
    this.#dirty = false;
    this.#draw(width, height);
  };

  dispose() {
    waiting.delete(this.#run);
    eyes.unobserve(this.#host);
    rulers.unobserve(this.#host);
    shown.delete(this.#host);
    all.delete(this);
    this.#visible = false;
  }
}
