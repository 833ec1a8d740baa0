/** The boxes of all units of an op at once, one fold forward. The twin of isopter/fields/regions.py. */

import { combined, counting, gather, HIGHEST, LOWEST, reduced, reshaped } from "./lazy.js";

/** The ops that `op` depends on, itself included, in order. @param {import("./net.js").Net} net */
export function ancestors(net, op, context) {
  const needed = new Set([op]);
  for (let target = op; target >= 0; target--) {
    if (needed.has(target)) for (const [source, , local] of net.ops[target].edges) if (context || local) needed.add(source);
  }
  return [...needed].sort((a, b) => a - b);
}

/**
 * Per space axis the lowest and highest + 1 position that each unit of `op` reads, lazily broadcast over its unit axes; where nothing is
 * read lo is Infinity, hi -Infinity.
 * @param {import("./net.js").Net} net @param {number} op @param {boolean} context @param {Map<number, object>} known  filled on the way
 */
export function regions(net, op, context, known) {
  const ndim = net.shape.length;
  for (const target of ancestors(net, op, context)) {
    if (known.has(target)) continue;
    known.set(target, target === net.origin ? identity(net, ndim) : boxesOf(net, target, context, known));
  }
  const { units, shape } = net.ops[op];
  const others = shape.map((_, axis) => axis).filter((axis) => !units.includes(axis));
  const over = (values, pick) => {
    const left = others.reduce((found, axis) => reduced(found, axis, pick), values);
    return reshaped(left, units.map((axis) => left.shape[axis]));
  };
  return known.get(op).map(({ lo, hi }) => ({ lo: over(lo, LOWEST), hi: over(hi, HIGHEST) }));
}

function identity(net, ndim) {
  return net.axes.map((axis) => ({ lo: counting(ndim, axis, net.shape[axis]), hi: counting(ndim, axis, net.shape[axis], 1) }));
}

function boxesOf(net, target, context, known) {
  const { edges, shape } = net.ops[target];
  let found = null;
  for (const [source, place, local] of edges) {
    if (!context && !local) continue;
    const before = known.get(source);
    const relation = net.relations[place];
    const shapeIn = net.ops[source].shape;
    const read =
      place < 0
        ? before
        : before.map(({ lo, hi }) => ({ lo: gather(relation, lo, shapeIn, shape, LOWEST), hi: gather(relation, hi, shapeIn, shape, HIGHEST) }));
    found = found === null ? read : found.map(({ lo, hi }, k) => ({ lo: merged(lo, read[k].lo, Math.min), hi: merged(hi, read[k].hi, Math.max) }));
  }
  return found;
}

const merged = (a, b, of) => (a === b ? a : combined(a, b, of));
