/** Pulling a unit back to the image, and pushing a pixel on to the units that see it. The twin of isopter/fields/support.py. */

import { pull, push } from "./relation.js";
import { blockWith, ordered, product, project, run, union } from "./sets.js";

/**
 * The set of input positions that one unit of `op` reads, as blocks; null if there are none.
 * `visit` is called with each op on the way and what is read of it.
 * @param {import("./net.js").Net} net @param {number} op @param {number[]} unit
 * @param {{context: boolean, clip: boolean, visit?: (op: number, blocks: object[]) => void}} how
 */
export function pullBack(net, op, unit, { context, clip, visit = () => {} }) {
  const waiting = new Array(op + 1).fill(null);
  waiting[op] = unitBlocks(net.ops[op], unit);
  for (let target = op; target > net.origin; target--) {
    const blocks = waiting[target];
    if (blocks === null) continue;
    visit(target, blocks);
    waiting[target] = null;
    const { edges, shape, units } = net.ops[target];
    for (const [source, relation, local] of edges) {
      if (!context && !local) continue;
      const before = net.ops[source].shape;
      const pulled = relation < 0 ? blocks : pull(net.relations[relation], blocks, before, shape, clip ? null : units);
      if (pulled !== null) waiting[source] = union(waiting[source], pulled, before);
    }
  }
  return waiting[net.origin] ?? null;
}

/** One unit: an index along its unit axes, every position of the others. */
function unitBlocks(op, unit) {
  return op.units.map((axis, k) => run(axis, unit[k], 1));
}

/**
 * Blocks over the input as one mask along its space axes, in the order of `net.axes`.
 * @returns {{mask: Uint8Array, shape: number[], origin: number[], count: number}|null}
 */
export function overSpace(net, blocks) {
  const { mask, shape, origin } = dense(blocks, net.axes, net.shape);
  let count = 0;
  for (let k = 0; k < mask.length; k++) count += mask[k];
  return count ? { mask, shape, origin, count } : null;
}

/** Blocks of an op as one mask along its unit axes, cut to what they hold. @returns {{mask: Uint8Array, shape: number[], origin: number[]}} */
export function onUnits(op, blocks) {
  return dense(blocks, op.units, op.shape);
}

function dense(blocks, axes, sizes) {
  const others = sizes.map((_, axis) => axis).filter((axis) => !axes.includes(axis));
  const kept = blocks.map((block) => project(block, others)).filter(Boolean);
  const whole = axes.filter((axis) => !blockWith(kept, axis)).map((axis) => run(axis, 0, sizes[axis]));
  if (axes.length === 0) return { mask: Uint8Array.of(1), shape: [], origin: [] };
  return ordered(product([...kept, ...whole]), axes);
}

/** The first and last + 1 position of a set along each space axis, without writing it out. */
export function boxOf(net, blocks) {
  const lo = [];
  const hi = [];
  for (const axis of net.axes) {
    const block = blockWith(blocks, axis);
    const k = block ? block.axes.indexOf(axis) : -1;
    lo.push(block ? block.origin[k] : 0);
    hi.push(block ? block.origin[k] + block.shape[k] : net.shape[axis]);
  }
  return { lo, hi };
}

/**
 * For every op the units that an input pixel (all its channels) can reach; null where the op does not depend on the input or none is reached.
 * @param {import("./net.js").Net} net @param {number[]|null} pixel  null: any @param {boolean} context
 * @returns {Array<import("./sets.js").Blocks|null>}
 */
export function pushOn(net, pixel, context) {
  const seen = new Array(net.ops.length).fill(null);
  seen[net.origin] = pixel === null ? [] : net.axes.map((axis, k) => run(axis, pixel[k], 1));
  net.ops.forEach(({ edges, shape }, target) => {
    for (const [source, relation, local] of edges) {
      if ((!context && !local) || seen[source] === null) continue;
      const reached = relation < 0 ? seen[source] : push(net.relations[relation], seen[source], net.ops[source].shape, shape);
      if (reached !== null) seen[target] = union(seen[target], reached, shape);
    }
  });
  return seen;
}

/** A set of an op's positions as a mask over all of its units. @returns {{mask: Uint8Array, shape: number[]}} */
export function overUnits(op, blocks) {
  const shape = op.unitSizes;
  const mask = new Uint8Array(shape.reduce((a, b) => a * b, 1));
  if (blocks === null) return { mask, shape };
  const block = dense(blocks, op.units, op.shape);
  place(block, mask, shape, 0, 0, 0);
  return { mask, shape };
}

function place(block, mask, shape, axis, source, target) {
  if (axis === shape.length) {
    mask[target] = block.mask[source];
    return;
  }
  for (let i = 0; i < block.shape[axis]; i++) {
    place(block, mask, shape, axis + 1, source * block.shape[axis] + i, target * shape[axis] + block.origin[axis] + i);
  }
}
