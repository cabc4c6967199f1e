// Long lines: binds uPlot. Everything that a figure says (names, colours, ranges) comes from the page as one object;
// colours are names of CSS variables, read when drawing, so that light and dark need no rebuild.
import uPlot from "./uplot.js";
import { Surface } from "./surface.js";
import { logSplits, range, steps, tick } from "./ticks.js";

/** The value of a variable of the style sheet; a colour is its own. */
const css = (name) => (name.startsWith("--") ? getComputedStyle(document.documentElement).getPropertyValue(name).trim() : name);
const font = (size) => `${size}px Inter, system-ui, sans-serif`;
/** How much larger than usual the style sheet has all lengths: while the page is shown to a class, or as the browser is set. */
const grown = () => parseFloat(getComputedStyle(document.documentElement).fontSize) / 10;
const DASHES = { solid: undefined, dashed: [6, 4], dotted: [2, 3], long: [12, 4] };
/** The most ticks of an x and of a y axis, however large it is, and the least room of each in CSS pixels. */
const TICKS = { x: { most: 12, room: 64 }, y: { most: 8, room: 20 } };
/** Room between an axis and its numbers: half a handle that stands on the axis covers none. */
const GAP = 10;
/** Least distance of dots, and how far from a point the pointer may be to read it, in CSS pixels. */
const [APART, REACH] = [12, 40];

const gaps = (column) => {
  const out = Array.from(column);
  for (let i = 0; i < out.length; i++) if (!Number.isFinite(out[i])) out[i] = null;
  return out;
};

/** Whether the values of a column lie so far apart that each is worth a dot: a lone one would not be seen without. */
function apart(u, column, sparse) {
  let [count, first, last] = [0, 0, 0];
  for (let i = 0; i < column.length; i++) {
    if (column[i] === null) continue;
    if (count++ === 0) first = i;
    last = i;
    if (count > 1 && !sparse) return false;
  }
  if (count < 2) return count === 1;
  return Math.abs(u.valToPos(u.data[0][last], "x") - u.valToPos(u.data[0][first], "x")) > APART * (count - 1);
}

export class Chart {
  #host;
  #spec;
  #plot = null;
  #surface;
  #data = [[]];
  #playhead = NaN;
  #onCursor;
  #onLayout;
  #onZoom;
  #fresh = true;
  /** How much larger than usual the plot was made. */
  #grown = 1;
  #tip = null;
  /** Names of lines by their series; the edges of bands have none. */
  #names = new Map();

  /**
   * spec: { x: {label, log, range}, y: {label, log, range, zero, percent}, sync, area, hover,
   *         lines: [{name, tone, dash, width, sparse, steps, faint, band}], rules: [{label, tone, x | y}],
   *         stretches: [{name, end}] of the x axis, from 0 on, every second one shaded }
   * onCursor(x or NaN): the pointer is over this x of this or a synced chart. onLayout(): places have moved.
   * onZoom(low, high or NaN, NaN): this part of the x axis, or all of it, is to be shown; without it the chart sees to that.
   */
  constructor(host, spec, onCursor, onLayout, onZoom) {
    this.#host = host;
    this.#spec = spec;
    this.#onCursor = onCursor;
    this.#onLayout = onLayout;
    this.#onZoom = onZoom;
    this.#surface = new Surface(host, (width, height) => this.#draw(width, height), () => this.#drop());
  }

  /** Columns of numbers, the x column first; NaN is a gap. */
  setData(columns) {
    this.#data = columns.map(gaps);
    this.#fresh = true;
    this.#surface.invalidate();
  }

  setSpec(spec) {
    this.#spec = spec;
    this.#drop();
    this.#surface.invalidate();
  }

  /** Lets the plot go; the next drawing makes another one. */
  #drop() {
    this.#plot?.destroy();
    this.#plot = null;
  }

  setPlayhead(x) {
    if (Object.is(x, this.#playhead)) return;
    this.#playhead = x;
    this.#surface.invalidate();
  }

  /** CSS pixels within the host of a point; NaN while nothing is drawn. */
  place(x, y) {
    const plot = this.#plot;
    if (!plot) return [NaN, NaN];
    const [left, top] = this.#area(plot);
    return [left + plot.valToPos(x, "x"), top + plot.valToPos(y, "y")];
  }

  /** The point at CSS pixels within the host, kept inside the plot. */
  pick(left, top) {
    const plot = this.#plot;
    if (!plot) return [NaN, NaN];
    const [x, y, width, height] = this.#area(plot);
    const clamp = (value, high) => Math.min(Math.max(value, 0), high);
    return [plot.posToVal(clamp(left - x, width), "x"), plot.posToVal(clamp(top - y, height), "y")];
  }

  /** Left, top, width and height of the plot's area in CSS pixels. Asking its element would lay out the whole page anew. */
  #area({ bbox }) {
    return [bbox.left, bbox.top, bbox.width, bbox.height].map((side) => side / devicePixelRatio);
  }

  #draw(width, height) {
    const large = grown();
    if (this.#grown !== large) this.#drop();
    this.#grown = large;
    if (this.#plot === null) {
      this.#plot = new uPlot(this.#options(width, height), this.#data, this.#host);
    } else {
      if (this.#plot.width !== width || this.#plot.height !== height) this.#plot.setSize({ width, height });
      if (this.#fresh) this.#plot.setData(this.#data);
      else this.#plot.redraw(false, true);
    }
    this.#fresh = false;
  }

  #options(width, height) {
    const { x, y, lines, rules = [], stretches = [], sync, hover } = this.#spec;
    const zoom = this.#onZoom;
    const large = this.#grown;
    const space = (side, length) => {
      const { most, room } = side === 2 ? TICKS.x : TICKS.y;
      return Math.max(room * large, length / most);
    };
    const axis = (which, side) => ({
      scale: side === 2 ? "x" : "y",
      side,
      font: font(11 * large),
      stroke: () => css("--soft"),
      grid: { show: side === 3, stroke: () => css("--line"), width: 1 },
      ticks: { show: false },
      border: { show: side === 2, stroke: () => css("--line"), width: 1 },
      size: (side === 2 ? 18 : 50) * large,
      gap: (side === 2 ? 4 : GAP) * large,
      space: (_u, _i, _low, _high, length) => space(side, length),
      incrs: (u) => steps(side === 2 ? u.data[0] : []),
      label: which.label || undefined,
      labelFont: font(11 * large),
      labelSize: 14 * large,
      labelGap: 0,
      values: (_u, values) => values.map((value) => tick(value, which.percent)),
      ...(which.log
        ? {
            splits: (u, _i, low, high) => {
              const pixels = (side === 2 ? u.bbox.width : u.bbox.height) / devicePixelRatio;
              return logSplits(which.log === 2 ? 2 : 10, low, high, Math.max(2, pixels / space(side, pixels)));
            },
            filter: (_u, splits) => splits,
          }
        : {}),
    });
    const bands = [];
    const series = [{}];
    this.#names.clear();
    // Many bands over each other must not hide their lines.
    const thin = lines.filter((line) => line.band).length > 2 ? 9 : 16;
    for (const line of lines) {
      const tone = () => css(line.tone);
      this.#names.set(series.length, line.name);
      series.push({
        label: line.name,
        scale: "y",
        stroke: tone,
        alpha: line.faint ? 0.55 : 1,
        width: (line.width ?? 1.6) * large,
        dash: DASHES[line.dash],
        spanGaps: Boolean(line.sparse),
        paths: line.steps ? uPlot.paths.stepped({ align: 1 }) : undefined,
        fill: line.area ? () => `color-mix(in srgb, ${css(line.tone)} 11%, transparent)` : undefined,
        points: { show: (u, i) => apart(u, u.data[i], line.sparse), size: 4 * large, fill: tone, width: 0 },
      });
      if (line.band) {
        const own = series.length - 1;
        series.push({ scale: "y", width: 0, points: { show: false }, stroke: tone });
        series.push({ scale: "y", width: 0, points: { show: false }, stroke: tone });
        bands.push({ series: [own + 2, own + 1], fill: () => `color-mix(in srgb, ${css(line.tone)} ${thin}%, transparent)` });
      }
    }
    return {
      width,
      height,
      padding: [6 * large, 18 * large, 0, 0],
      legend: { show: false },
      cursor: {
        y: false,
        points: { size: 6 * large },
        drag: { x: true, y: false, setScale: !zoom },
        ...(zoom ? { bind: { dblclick: () => () => zoom(NaN, NaN) } } : {}),
        // A drag is of one chart; what comes of it, all are told.
        ...(sync ? { sync: { key: sync, scales: ["x", null], setSeries: false, filters: { pub: (event) => event !== "mousedown" } } } : {}),
      },
      scales: {
        // A linear x axis ends with its data.
        x: { time: false, distr: x.log ? 3 : 1, ...(x.range || x.log ? { range: range(x) } : {}) },
        y: { distr: y.log ? 3 : 1, log: y.log === 2 ? 2 : 10, range: range(y) },
      },
      axes: [axis(x, 2), axis(y, 3)],
      series,
      bands,
      hooks: {
        setCursor: [
          (u) => hover && this.#tell(u),
          (u) => this.#onCursor(u.cursor.idx === null || u.cursor.left < 0 ? NaN : (u.data[0][u.cursor.idx] ?? NaN)),
        ],
        setSelect: zoom ? [(u) => this.#zoomTo(u)] : [],
        drawClear: [(u) => this.#shade(u, stretches)],
        // Only now do the scales say where points are.
        draw: [(u) => this.#overlay(u, rules), (u) => u === this.#plot && this.#onLayout()],
      },
    };
  }

  /** Says what the point nearest to the pointer is. */
  #tell(u) {
    const { left, top, idx } = u.cursor;
    const [xs] = u.data;
    let best = null;
    let least = REACH;
    const look = (column, i, name) => {
      const away = Math.hypot(u.valToPos(xs[i], "x") - left, u.valToPos(column[i], "y") - top);
      if (away < least) [best, least] = [{ name, x: xs[i], y: column[i] }, away];
    };
    for (const [which, name] of left < 0 || idx === null ? [] : this.#names) {
      const column = u.data[which];
      for (const side of [-1, 1]) {
        const near = (i) => xs[i] !== undefined && Math.abs(u.valToPos(xs[i], "x") - left) < REACH;
        let i = idx;
        while (near(i) && column[i] === null) i += side;
        if (near(i)) look(column, i, name);
      }
    }
    this.#tip ??= this.#host.appendChild(Object.assign(document.createElement("div"), { className: "hover" }));
    this.#tip.hidden = best === null;
    if (best === null) return;
    const { x, y } = this.#spec;
    this.#tip.textContent = `${best.name}\n${tick(best.y, y.percent)} at ${tick(best.x, x.percent)}`;
    const [start, above, width] = this.#area(u);
    const right = left > width * 0.55;
    this.#tip.style.left = right ? "" : `${start + left + 12}px`;
    this.#tip.style.right = right ? `${u.width - start - left + 12}px` : "";
    this.#tip.style.top = `${above + top + 10}px`;
  }

  /** Shades every second stretch of the x axis below all else, and names those that have room for it. */
  #shade({ ctx, bbox, valToPos }, stretches) {
    const right = bbox.left + bbox.width;
    const pixel = this.#grown * devicePixelRatio;
    let from = valToPos(0, "x", true);
    ctx.save();
    ctx.font = font(10 * pixel);
    ctx.textAlign = "center";
    stretches.forEach(({ name, end }, i) => {
      const to = valToPos(end, "x", true);
      const [low, high] = [Math.max(from, bbox.left), Math.min(to, right)];
      from = to;
      if (low >= high) return;
      ctx.fillStyle = `color-mix(in srgb, ${css("--line")} 55%, transparent)`;
      if (i % 2) ctx.fillRect(low, bbox.top, high - low, bbox.height);
      ctx.fillStyle = css("--soft");
      if (ctx.measureText(name).width < high - low) ctx.fillText(name, (low + high) / 2, bbox.top + 11 * pixel);
    });
    ctx.restore();
  }

  /** Says which part of the x axis a hand has chosen. */
  #zoomTo(u) {
    const { left, width } = u.select;
    this.#onZoom(u.posToVal(left, "x"), u.posToVal(left + width, "x"));
    u.setSelect({ width: 0, height: 0 }, false);
  }

  /** Reference lines and the playhead. */
  #overlay(u, rules) {
    const { ctx } = u;
    const { left, top, width, height } = u.bbox;
    const pixel = this.#grown * devicePixelRatio;
    ctx.save();
    ctx.beginPath();
    ctx.rect(left, top, width, height);
    ctx.clip();
    ctx.lineWidth = pixel * 1.3;
    const stroke = (tone, dash, x0, y0, x1, y1) => {
      ctx.strokeStyle = css(tone);
      ctx.setLineDash(dash.map((part) => part * pixel));
      ctx.beginPath();
      ctx.moveTo(x0, y0);
      ctx.lineTo(x1, y1);
      ctx.stroke();
    };
    ctx.font = font(11 * pixel);
    // Over all lines, which break where they pass beneath a label.
    const labels = [];
    const write = ({ label, tone }, align, x, y) =>
      labels.push(() => {
        ctx.textAlign = align;
        ctx.setLineDash([]);
        ctx.lineWidth = 4 * pixel;
        ctx.lineJoin = "round";
        ctx.strokeStyle = css("--panel");
        ctx.strokeText(label, x, y);
        ctx.fillStyle = css(tone);
        ctx.fillText(label, x, y);
      });
    const taken = [];
    for (const rule of rules) {
      if (rule.y !== undefined) {
        const at = u.valToPos(rule.y, "y", true);
        stroke(rule.tone, [5, 4], left, at, left + width, at);
        write(rule, "right", left + width - 4, at - 4 * pixel);
      } else {
        const at = u.valToPos(rule.x, "x", true);
        stroke(rule.tone, [5, 4], at, top, at, top + height);
        // On the side that has room, in the first row that is free there: near lines must not write over each other.
        const room = 4 * pixel;
        const wide = ctx.measureText(rule.label).width;
        const x = at < left + width / 2 ? at + room : at - room - wide;
        // A long one moves inside a narrow plot.
        const inside = Math.max(left + room, Math.min(x, left + width - room - wide));
        const free = (row) => !taken.some((one) => one.row === row && inside < one.to && one.from < inside + wide + room);
        let row = 0;
        while (!free(row)) row += 1;
        taken.push({ row, from: inside, to: inside + wide + room });
        write(rule, "left", inside, top + (11 + 13 * row) * pixel);
      }
    }
    if (Number.isFinite(this.#playhead)) {
      const at = u.valToPos(this.#playhead, "x", true);
      stroke("--edge", [], at, top, at, top + height);
    }
    for (const draw of labels) draw();
    ctx.restore();
  }

  dispose() {
    this.#surface.dispose();
    this.#drop();
    this.#tip?.remove();
  }
}
