// Where an axis has numbers.

/** Distances of an even axis's numbers, the least first. */
const STEPS = Array.from({ length: 32 }, (_, i) => [1, 2, 2.5, 5].map((part) => Number(`${part}e${i - 16}`))).flat();
const WHOLE = STEPS.filter(Number.isInteger);

/** Distances that suit what an axis counts: there is no half epoch among whole ones. */
export const steps = (values) => (values.length > 2 && values.every(Number.isInteger) ? WHOLE : STEPS);

/**
 * Round values of a logarithmic axis from `low` to `high`, about `most` of them, so that their numbers have room: powers of the
 * base; where few are in range, steps of ten between them too.
 */
export function logSplits(base, low, high, most) {
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
