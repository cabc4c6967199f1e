// When a figure is drawn: only while it can be seen, at most once a frame, and again when its size or the theme changes.
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
  #frame = 0;
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
    if (this.#visible && !this.#frame) this.#frame = requestAnimationFrame(() => this.#run());
  }

  resize(width, height) {
    this.#size = [Math.floor(width), Math.floor(height)];
    this.invalidate();
  }

  see(visible) {
    this.#visible = visible;
    if (visible && this.#dirty) this.invalidate();
  }

  #run() {
    this.#frame = 0;
    const [width, height] = this.#size;
    if (!this.#visible || width < 8 || height < 8) return;
    this.#dirty = false;
    this.#draw(width, height);
  }

  dispose() {
    cancelAnimationFrame(this.#frame);
    eyes.unobserve(this.#host);
    rulers.unobserve(this.#host);
    shown.delete(this.#host);
    all.delete(this);
    this.#visible = false;
  }
}
