// Places of a figure that a person chooses from, with pointer or keys: to press one, or to drag it elsewhere. One button stands
// on the place at hand, so that a thousand places are one tab stop.

/** A place that is held still for so many milliseconds counts as put there. */
const REST = 250;
/** How far a key moves a place, of the width within which places are dragged. */
const STEP = 0.01;
/** How near a pointer must come to a place, in pixels. */
const REACH = 14;
/** Two places as near as this are one, in pixels. */
const SAME = 1.5;

const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

const middle = ([left, top, width, height]) => [left + width / 2, top + height / 2];
const within = (value, low, size) => Math.min(Math.max(value, low), low + size);

/** The place nearest to a point, within reach; of those that contain it the last. */
export function nearest(places, [x, y]) {
  let [found, best] = [undefined, REACH];
  places.forEach(([left, top, width, height], place) => {
    const away = Math.hypot(x - within(x, left, width), y - within(y, top, height));
    if (away === 0 || away < best) [found, best] = [place, away];
  });
  return found;
}

/** The place next to another in a direction: rightwards and downwards. */
export function next(places, from, [right, down]) {
  const [x, y] = middle(places[from]);
  let [found, best] = [undefined, Infinity];
  places.forEach((place, at) => {
    const [dx, dy] = [middle(place)[0] - x, middle(place)[1] - y];
    const [along, across] = [dx * right + dy * down, Math.abs(dx * down) + Math.abs(dy * right)];
    if (along > 1 && along + 3 * across < best) [found, best] = [at, along + 3 * across];
  });
  return found;
}

export class Places {
  #host;
  #label;
  #drags;
  #act;
  #button = document.createElement("button");
  /** What keys have led to, for those who cannot see it. */
  #said = document.createElement("span");
  #rims = [];
  #area = [0, 0, 0, 0];
  #places = [];
  #texts = [];
  #chosen = [];
  #at = 0;
  /** Whether a pointer has the place at hand. */
  #holds = false;
  /** Where a hand has it, until the figure has it there, too; and whether that was told. */
  #held;
  #told = true;
  #rests;

  /**
   * Lies over a figure, in `host`. Where places are dragged, `act(place, x, y)` gets where one was put, in pixels, or NaN to put it
   * back where it belongs; it answers whether that is accepted. Where they are pressed, it gets the place.
   */
  constructor(host, label, drags, act) {
    [this.#host, this.#label, this.#drags, this.#act] = [host, label, drags, act];
    this.#button.className = drags ? "handle point" : "place";
    this.#said.className = "unseen";
    this.#said.ariaLive = "polite";
    host.append(this.#button, this.#said);
    host.addEventListener("pointermove", (event) => (this.#holds ? this.#hold(this.#point(event)) : this.#find(event)));
    host.addEventListener("pointerdown", (event) => this.#press(event));
    for (const end of ["pointerup", "pointercancel"]) {
      host.addEventListener(end, () => {
        this.#holds = false;
        this.#tell();
      });
    }
    host.addEventListener("click", (event) => {
      // A key presses where no pointer is.
      if (!drags && (event.detail === 0 || this.#find(event))) act(this.#at, 0, 0);
    });
    this.#button.addEventListener("keydown", (event) => this.#key(event));
  }

  /** `area`: left, top, width and height within which places are dragged; `places` likewise, one behind the other; `chosen`: those that stand out. */
  show(area, places, texts, chosen) {
    const now = Array.from(texts, (_, place) => [...places.subarray(4 * place, 4 * place + 4)]);
    const other = now.length !== this.#places.length || area.some((side, i) => side !== this.#area[i]);
    [this.#area, this.#places, this.#texts, this.#chosen] = [area, now, texts, [...chosen]];
    this.#at = within(this.#at, 0, Math.max(now.length - 1, 0));
    if (this.#told && this.#held && (other || this.#arrived())) this.#held = undefined;
    this.#draw();
  }

  #arrived() {
    const [x, y] = middle(this.#places[this.#at]);
    return Math.hypot(x - this.#held[0], y - this.#held[1]) < SAME;
  }

  #draw() {
    const place = this.#places[this.#at];
    const button = this.#button;
    button.hidden = !place;
    for (const rim of this.#rims) rim.remove();
    this.#rims = this.#chosen.filter((at) => this.#places[at]).map((at) => this.#put(document.createElement("span"), this.#places[at]));
    this.#host.prepend(...this.#rims);
    if (!place) return;
    if (this.#drags) this.#put(button, this.#held ?? middle(place));
    else this.#put(button, place).ariaPressed = this.#chosen.includes(this.#at);
    button.ariaLabel = `${this.#label}: ${this.#texts[this.#at]}`;
  }

  #put(element, sides) {
    ["left", "top", "width", "height"].slice(0, sides.length).forEach((side, i) => (element.style[side] = `${sides[i]}px`));
    return element;
  }

  #point(event) {
    const { left, top } = this.#host.getBoundingClientRect();
    return [event.clientX - left, event.clientY - top];
  }

  /** Goes to a place; what was done to the one before is told first. */
  #go(at) {
    if (at === undefined || at === this.#at) return;
    this.#tell();
    this.#held = undefined;
    this.#at = at;
    this.#draw();
  }

  #find(event) {
    const found = nearest(this.#places, this.#point(event));
    this.#go(found);
    return found !== undefined;
  }

  #press(event) {
    if (!this.#drags || event.target !== this.#button) {
      this.#find(event);
      return;
    }
    event.preventDefault();
    this.#button.setPointerCapture(event.pointerId);
    // Keys go on from here.
    this.#button.focus();
    this.#holds = true;
  }

  /** Has the place at hand elsewhere. */
  #hold([x, y]) {
    const [left, top, width, height] = this.#area;
    this.#held = [within(x, left, width), within(y, top, height)];
    this.#told = false;
    clearTimeout(this.#rests);
    this.#rests = setTimeout(() => this.#tell(), REST);
    this.#draw();
  }

  #tell() {
    clearTimeout(this.#rests);
    if (this.#told || !this.#host.isConnected) return;
    this.#told = true;
    if (this.#act(this.#at, ...this.#held)) return;
    this.#held = undefined;
    this.#draw();
  }

  #key(event) {
    const [arrow, turn] = [ARROWS[event.key], { PageUp: -1, PageDown: 1 }[event.key]];
    const back = this.#drags && ["Delete", "Backspace"].includes(event.key);
    if (!this.#places.length || !(arrow || turn || back)) return;
    event.preventDefault();
    event.stopPropagation();
    if (turn) {
      this.#go(within(this.#at + turn, 0, this.#places.length - 1));
    } else if (back) {
      [this.#held, this.#told] = [undefined, true];
      this.#act(this.#at, NaN, NaN);
      this.#draw();
    } else if (this.#drags) {
      const [x, y] = this.#held ?? middle(this.#places[this.#at]);
      const step = STEP * this.#area[2];
      this.#hold([x + step * arrow[0], y + step * arrow[1]]);
    } else {
      this.#go(next(this.#places, this.#at, arrow));
    }
    this.#said.textContent = this.#texts[this.#at];
  }
}
