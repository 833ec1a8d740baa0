/** How much of a field lies outside the image. The twin of isopter/fields/exposure.py. */

import { sizeOf } from "./sets.js";

/** The share of a box (per axis [lo, hi), on the plane) outside the image; 0 where an axis is read whole, and where nothing is read. */
export function paddingShare(box, image) {
  const whole = box.reduce((product, [lo, hi]) => product * (hi - lo), 1);
  if (whole === 0 || whole === Infinity) return 0;
  return 1 - box.reduce((product, span, k) => product * kept(span, image[k]), 1) / whole;
}

/**
 * The share of every unit of `op`, row-major over its units, and their mean; null where there is no plane.
 * @param {import("./net.js").Net} net @param {number} op @returns {{values: Float64Array, mean: number}|null}
 */
export function exposure(net, op) {
  const { basis, extent, units, unitSizes } = net.ops[op];
  if (basis === "input") return null;
  const values = new Float64Array(sizeOf(unitSizes));
  if (extent.includes("inf")) return { values, mean: 0 };
  const unit = new Array(unitSizes.length).fill(0);
  const rows = extent.map((value, k) => {
    const axis = units.indexOf(value.c);
    const spans = Array.from({ length: unitSizes[axis] }, (_, i) => spanOf(value, i));
    return { axis, whole: spans.map(([lo, hi]) => hi - lo), inside: spans.map((span) => kept(span, net.image[k])) };
  });
  let sum = 0;
  for (let at = 0; at < values.length; at++) {
    let [inside, whole] = [1, 1];
    for (const row of rows) {
      inside *= row.inside[unit[row.axis]];
      whole *= row.whole[unit[row.axis]];
    }
    sum += values[at] = whole ? 1 - inside / whole : 0;
    for (let k = unit.length - 1; k >= 0 && ++unit[k] === unitSizes[k]; k--) unit[k] = 0;
  }
  return { values, mean: values.length ? sum / values.length : NaN };
}

/** What one place along an axis reads, on the plane; nothing is [0, 0]. */
export function spanOf({ lo, hi, j }, index) {
  const phase = index % lo.length;
  const shift = Math.floor(index / lo.length) * j;
  return lo[phase] === null ? [0, 0] : [lo[phase] + shift, hi[phase] + shift];
}

function kept([lo, hi], size) {
  return Math.max(Math.min(hi, size) - Math.max(lo, 0), 0);
}
