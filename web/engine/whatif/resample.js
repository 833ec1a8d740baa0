/** What interpolation reads, in exact fractions. The twin of isopter/reads/rules/resample.py. */

import { gcd } from "../extents.js";
import { NOTHING } from "../maps.js";

const floorDiv = (a, b) => Math.floor(a / b);

/**
 * The map of one axis from n positions to m.
 * @param {number|null} given  input steps per output step, as the program gave them @param {[number, number]|null} fraction  the same, exact
 * @returns {{rows: number[][], plane: object|null}}
 */
export function resampledRows(n, m, given, fraction, { mode, align_corners: aligned, antialias }) {
  if (n === m && (given === null || given === 1) && !antialias && mode !== "cubic") {
    return { rows: Array.from({ length: n }, (_, i) => [i]), plane: { jump: 1, rows: [[0]] } };
  }
  const [a, b] = stepOf(n, m, fraction, aligned);
  const period = aligned || a === 0 || b > 4096 ? 0 : b;
  const plane = (read) => (period ? { jump: a, rows: filled(Array.from({ length: period }, (_, i) => read(i))) } : null);
  if (antialias) {
    const read = (i) => stretched(i, a, b, mode === "linear" ? 1 : 2);
    return { rows: Array.from({ length: m }, (_, i) => read(i).filter((j) => j >= 0 && j < n)), plane: plane(read) };
  }
  const read = (i) => exactly(mode, i, a, b, aligned);
  const rows = [];
  for (let i = 0; i < m; i++) {
    let row = read(i);
    if (mode.startsWith("nearest")) row = [...new Set([...row, ...inFloats(i, given ?? n / m, mode)])].sort((x, y) => x - y);
    rows.push(row.map((j) => Math.min(Math.max(j, 0), n - 1)));
  }
  return { rows, plane: plane(read) };
}

function stepOf(n, m, fraction, aligned) {
  const [a, b] = aligned ? (m > 1 ? [n - 1, m - 1] : [0, 1]) : (fraction ?? [n, m]);
  const common = gcd(a, b) || 1;
  return [a / common, b / common];
}

/** x = (i + 1/2) a / b - 1/2, or i a / b with aligned corners; as numerator over denominator. */
function exactly(mode, i, a, b, aligned) {
  if (mode === "nearest") return [floorDiv(i * a, b)];
  if (mode === "nearest-exact") return [floorDiv((2 * i + 1) * a, 2 * b)];
  const [top, bottom] = aligned ? [i * a, b] : [(2 * i + 1) * a - b, 2 * b];
  const low = floorDiv(top, bottom);
  if (top % bottom === 0) return [low];
  return mode === "linear" ? [low, low + 1] : [low - 1, low, low + 1, low + 2];
}

function inFloats(i, step, mode) {
  const at = i + (mode === "nearest-exact" ? 0.5 : 0);
  return [Math.floor(Math.fround(Math.fround(at) * Math.fround(step))), Math.floor(at * step)];
}

/** A filter stretched by the step when shrinking, in units of 1 / 2b; zero at its ends and at distance 1. */
function stretched(i, a, b, reach) {
  const center = (2 * i + 1) * a;
  const stretch = 2 * Math.max(a, b);
  const found = [];
  for (let j = floorDiv(center - reach * stretch, 2 * b); j <= Math.ceil((center + reach * stretch) / (2 * b)); j++) {
    const distance = Math.abs((2 * j + 1) * b - center);
    if (distance < reach * stretch && distance !== stretch) found.push(j);
  }
  return found;
}

/** Rows of one width, filled with their last entry. */
function filled(rows) {
  const width = Math.max(...rows.map((row) => row.length));
  return rows.map((row) => [...row, ...new Array(width - row.length).fill(row.at(-1) ?? NOTHING)]);
}
