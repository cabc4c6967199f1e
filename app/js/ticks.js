// Numbers of an axis: from where to where, at which places, and how they are written.

/** Distances of an even axis's numbers, the least first. */
const STEPS = Array.from({ length: 32 }, (_, i) => [1, 2, 2.5, 5].map((part) => Number(`${part}e${i - 16}`))).flat();
const WHOLE = STEPS.filter(Number.isInteger);

/** Distances that suit what an axis counts: there is no half epoch among whole ones. */
export const steps = (values) => (values.length > 2 && values.every(Number.isInteger) ? WHOLE : STEPS);

/** The range of an axis from its data: a flat line gets room, an explicit range wins. */
export function range(axis) {
  return ({ data }, low, high) => {
    if (axis.range && !(axis.log && axis.range[0] <= 0)) return axis.range;
    // A logarithmic axis has no place for 0. Of a y axis uPlot tells only what is above.
    if (axis.log && low <= 0) low = data[0].find((x) => x > 0);
    if (!Number.isFinite(low) || !Number.isFinite(high)) return axis.log ? [1e-3, 1] : [0, 1];
    if (axis.log) {
      const [least, most] = low === high ? [low / 2, low * 2] : [low / 1.15, high * 1.15];
      return [least, axis.range?.[1] > least ? axis.range[1] : most];
    }
    if (low === high) return low === 0 ? [0, 1] : [low - Math.abs(low) * 0.5, low + Math.abs(low) * 0.5];
    const room = (high - low) * 0.06;
    return [axis.zero ? Math.min(0, low) : low - room, high + room];
  };
}

/** Few digits, and a unit for large numbers: an axis is read at a glance. */
export function tick(value, percent) {
  if (value === null || value === undefined) return "";
  const short = (number) => +number.toPrecision(4);
  if (percent) return `${short(value * 100)}%`;
  const size = Math.abs(value);
  if (size >= 1e6) return `${short(value / 1e6)}M`;
  if (size >= 1e4) return `${short(value / 1e3)}k`;
  return (size !== 0 && size < 1e-3 ? short(value).toExponential() : `${short(value)}`).replaceAll("-", "−");
}

/**
 * Round values of a logarithmic axis from `low` to `high`, about `most` of them, so that their numbers have room: powers of the
 * base; where few are in range, steps of ten between them too. None where there is no logarithm.
 */
export function logSplits(base, low, high, most) {
  if (!(low > 0 && high < Infinity)) return [];
  const powers = [];
  const [first, last] = [Math.ceil(Math.log(low) / Math.log(base) - 1e-9), Math.floor(Math.log(high) / Math.log(base) + 1e-9)];
  const every = Math.max(1, Math.ceil((last - first + 1) / most));
  for (let power = first; power <= last; power += every) powers.push(base ** power);
  if (powers.length > 2 || base !== 10) return powers;
  for (const steps of [[1, 2, 5], [1, 3], [1]]) {
    const marks = [];
    for (let power = first - 1; power <= last + 1; power++) for (const step of steps) marks.push(step * 10 ** power);
    const seen = marks.filter((value) => value >= low && value <= high);
    if (seen.length > 1 && seen.length <= most + 1) return seen;
  }
  if (powers.length > 1) return powers;
  // Not even two of these: round values as on a linear axis.
  const rough = (high - low) / most;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((part) => part * power).find((part) => part >= rough);
  return Array.from({ length: Math.floor(high / step) - Math.ceil(low / step) + 1 }, (_, i) => (Math.ceil(low / step) + i) * step);
}
