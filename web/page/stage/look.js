/** What there is to see of one unit: its set, its boxes, and where its effective field lies. */

/**
 * @typedef {object} Look
 * @property {{mask: Uint8Array, shape: number[], origin: number[], count: number}|null} set pixels read
 * @property {object} region as the engine gives it
 * @property {[number, number][]} box per axis, on the plane where there is one and it is bounded, else in the image
 * @property {{field: import("../report.js").Field, shift: number[], approximate: boolean}|null} effective
 * @property {[number, number][]|null} square of 95 % of the effective field
 */

/** @param {import("../report.js").Model} model @param {number} op @param {number[]} unit @param {boolean} context @returns {Look} */
export function look(model, op, unit, context) {
  const { net } = model;
  const set = net.pull(op, unit, { context });
  const region = net.region(op, unit, { context });
  const bounded = region.unclipped?.map(([lo, hi], k) => (Number.isFinite(lo) && Number.isFinite(hi) ? [lo, hi] : [0, net.image[k]]));
  const box = bounded ?? region.lo.map((lo, k) => [lo, region.hi[k]]);
  const field = model.fields.get(op);
  const effective = field ? placed(net, op, unit, field) : null;
  const square = effective && field.side95 ? field.center.map((c, k) => [c + effective.shift[k] + 0.5 - field.side95 / 2, c + effective.shift[k] + 0.5 + field.side95 / 2]) : null;
  return { set, region, box, effective, square };
}

/** A field is known at one unit; elsewhere it is drawn moved by as much as the theoretical field moves. */
function placed(net, op, unit, field) {
  const there = net.region(op, field.unit);
  const here = net.region(op, unit);
  const [from, to] = [there, here].map((r) => r.unclipped?.map(([lo]) => lo) ?? r.lo.map((lo, k) => (lo + r.hi[k]) / 2));
  const shift = to.map((p, k) => (Number.isFinite(p - from[k]) ? p - from[k] : ((unit[k] ?? 0) - (field.unit[k] ?? 0)) * (net.image[k] / (net.ops[op].unitSizes[k] || 1))));
  return { field, shift, approximate: shift.some((s) => s !== 0) };
}

/** A plane through a set: the mask over two axes, where the others are at `at` (input pixels). */
export function planeOf(set, axes, at) {
  if (!set) return null;
  const strides = set.shape.map((_, k) => set.shape.slice(k + 1).reduce((p, n) => p * n, 1));
  let base = 0;
  for (let k = 0; k < set.shape.length; k++) {
    if (axes.includes(k)) continue;
    const inside = at[k] - set.origin[k];
    if (inside < 0 || inside >= set.shape[k]) return null;
    base += inside * strides[k];
  }
  const [y, x] = axes;
  return { mask: set.mask, base, height: set.shape[y], width: set.shape[x], rows: strides[y], columns: strides[x], top: set.origin[y], left: set.origin[x] };
}
