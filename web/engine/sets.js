/**
 * Sets of positions of a tensor, kept as products of blocks so that a box of any size costs a few short arrays.
 * A block is a mask over some of the axes, placed at an origin; an axis that is in no block is full: every position of it.
 * The twin of `Patch` in isopter/reads/scatter.py, factored.
 */

/**
 * @typedef {{axes: number[], shape: number[], origin: number[], mask: Uint8Array}} Block  mask row-major over `axes`, in this order
 * @typedef {Block[]} Blocks  disjoint in their axes; a set is never empty (null stands for the empty set)
 */

/** Rows longer than this are copied by the machine, shorter ones cell by cell: a call costs more than a few cells. */
const LONG = 48;

/** How many cells a shape has. @param {number[]} shape */
export const sizeOf = (shape) => {
  let size = 1;
  for (const n of shape) size *= n;
  return size;
};

/** A run of ones on one axis. @returns {Block} */
export function run(axis, from, length) {
  return { axes: [axis], shape: [length], origin: [from], mask: new Uint8Array(length).fill(1) };
}

/** The block that holds `axis`, or undefined where it is full. @param {Blocks} blocks */
export const blockWith = (blocks, axis) => blocks.find((block) => block.axes.includes(axis));

/** The product of blocks as one. @param {Block[]} blocks @returns {Block} axes in the order the blocks have them */
export function product(blocks) {
  if (blocks.length === 1) return blocks[0];
  let { axes, shape, origin, mask } = blocks[0];
  for (const next of blocks.slice(1)) {
    const inner = next.mask.length;
    const grown = new Uint8Array(mask.length * inner);
    for (let i = 0; i < mask.length; i++) {
      if (!mask[i]) continue;
      if (inner > LONG) grown.set(next.mask, i * inner);
      else for (let k = 0; k < inner; k++) grown[i * inner + k] = next.mask[k];
    }
    mask = grown;
    axes = axes.concat(next.axes);
    shape = shape.concat(next.shape);
    origin = origin.concat(next.origin);
  }
  return { axes, shape, origin, mask };
}

/** The same block with its axes in another order. @param {Block} block @param {number[]} axes */
export function ordered(block, axes) {
  if (axes.every((axis, k) => axis === block.axes[k])) return block;
  const from = axes.map((axis) => block.axes.indexOf(axis));
  const shape = from.map((k) => block.shape[k]);
  const strides = stridesOf(block.shape);
  const steps = from.map((k) => strides[k]);
  return { axes, shape, origin: from.map((k) => block.origin[k]), mask: taken(block.mask, shape, steps, 0) };
}

/** The cells of a mask at these steps from `start`, as a mask of this shape. */
function taken(mask, shape, steps, start) {
  const result = new Uint8Array(sizeOf(shape));
  const last = shape.length - 1;
  const [inner, step] = [shape[last], steps[last]];
  rows(shape, steps, start, (at, source) => {
    if (step === 1 && inner > LONG) result.set(mask.subarray(source, source + inner), at);
    else for (let k = 0, from = source; k < inner; k++, from += step) result[at + k] = mask[from];
  });
  return result;
}

/** Row-major steps. @param {number[]} shape */
export function stridesOf(shape) {
  const strides = new Array(shape.length).fill(1);
  for (let k = shape.length - 2; k >= 0; k--) strides[k] = strides[k + 1] * shape[k + 1];
  return strides;
}

/** Visit the first cell of every row (along the last axis) of `shape`, with the matching place in another array that has these steps. */
function rows(shape, steps, start, visit) {
  const count = sizeOf(shape);
  const last = shape.length - 1;
  const index = new Array(shape.length).fill(0);
  let source = start;
  for (let at = 0; at < count; at += shape[last]) {
    visit(at, source);
    for (let axis = last - 1; axis >= 0; axis--) {
      source += steps[axis];
      if (++index[axis] < shape[axis]) break;
      source -= steps[axis] * shape[axis];
      index[axis] = 0;
    }
  }
}

/** Visit every cell of `shape` in order, with the matching place in another array that has these steps. */
export function walk(shape, steps, start, visit) {
  if (shape.length === 0) {
    visit(0, start);
    return;
  }
  const [inner, step] = [shape.at(-1), steps.at(-1)];
  rows(shape, steps, start, (at, source) => {
    for (let k = 0; k < inner; k++) visit(at + k, source + k * step);
  });
}

/** The block without some of its axes: a cell is held where any along them is; null without axes. @param {Block} block @param {number[]} dropped */
export function project(block, dropped) {
  const kept = block.axes.map((axis) => !dropped.includes(axis));
  if (kept.every(Boolean)) return block;
  if (!kept.some(Boolean)) return null;
  const only = (values) => values.filter((_, k) => kept[k]);
  const shape = only(block.shape);
  const strides = stridesOf(shape);
  let at = 0;
  const steps = kept.map((keep) => (keep ? strides[at++] : 0));
  const mask = new Uint8Array(sizeOf(shape));
  const [inner, step] = [block.shape.at(-1), steps.at(-1)];
  const given = block.mask;
  rows(block.shape, steps, 0, (from, to) => {
    if (step === 0) {
      let k = 0;
      while (k < inner && given[from + k] === 0) k++;
      if (k < inner) mask[to] = 1;
    } else {
      for (let k = 0; k < inner; k++) if (given[from + k] !== 0) mask[to + k * step] = 1;
    }
  });
  return { axes: only(block.axes), shape, origin: only(block.origin), mask };
}

/** Cut the block to the cells it holds; null if it holds none. @param {Block} block @returns {Block|null} */
export function trim(block) {
  const { shape, mask } = block;
  const lo = [];
  const hi = [];
  let changed = false;
  for (let axis = 0; axis < shape.length; axis++) {
    const n = shape[axis];
    let first = 0;
    while (first < n && !holds(mask, shape, axis, first)) first++;
    if (first === n) return null;
    let last = n;
    while (!holds(mask, shape, axis, last - 1)) last--;
    lo.push(first);
    hi.push(last);
    if (last - first < n) changed = true;
  }
  if (!changed) return block;
  const cut = lo.map((low, k) => hi[k] - low);
  const strides = stridesOf(shape);
  const start = lo.reduce((sum, low, k) => sum + low * strides[k], 0);
  return { axes: block.axes, shape: cut, origin: block.origin.map((o, k) => o + lo[k]), mask: taken(mask, cut, strides, start) };
}

function holds(mask, shape, axis, index) {
  let inner = 1;
  for (let k = axis + 1; k < shape.length; k++) inner *= shape[k];
  const step = inner * shape[axis];
  for (let outer = index * inner; outer < mask.length; outer += step) {
    for (let k = outer; k < outer + inner; k++) if (mask[k]) return true;
  }
  return false;
}

/** The block as a product of smaller ones, as far as single axes can be split off. @param {Block} block @returns {Blocks} */
export function factored(block) {
  const found = [];
  let rest = block;
  let count = held(rest.mask);
  for (const axis of block.axes) {
    if (rest.axes.length === 1) break;
    const side = project(rest, rest.axes.filter((other) => other !== axis));
    const width = held(side.mask);
    if (count % width !== 0) continue;
    const others = project(rest, [axis]);
    if (held(others.mask) * width !== count) continue;
    found.push(side);
    rest = others;
    count /= width;
  }
  return [...found, rest];
}

function held(mask) {
  let count = 0;
  for (let k = 0; k < mask.length; k++) count += mask[k];
  return count;
}

/** The union of two sets; null is the empty one. @param {Blocks|null} a @param {Blocks|null} b @param {number[]} shape  of the tensor */
export function union(a, b, shape) {
  if (!a || !b) return a || b;
  if (a === b) return a;
  const left = [...a];
  const right = [...b];
  for (let axis = 0; axis < shape.length; axis++) {
    const inLeft = blockWith(left, axis);
    const inRight = blockWith(right, axis);
    if (!inLeft !== !inRight) (inLeft ? right : left).push(run(axis, 0, shape[axis]));
  }
  const shared = [];
  const differing = [];
  for (const [ours, theirs] of parts(left, right)) {
    const one = product(ours);
    const other = ordered(product(theirs), one.axes);
    if (equal(one, other)) shared.push(...(ours.length >= theirs.length ? ours : theirs));
    else differing.push([one, other]);
  }
  if (differing.every(([one, other]) => contains(one, other))) return left;
  if (differing.every(([one, other]) => contains(other, one))) return right;
  const one = product(differing.map(([block]) => block));
  const other = product(differing.map(([, block]) => block));
  return [...shared, ...factored(either(one, other))];
}

/** The blocks of both sides, sorted into parts that have the same axes. */
function parts(left, right) {
  const found = [];
  const waiting = left.map((block) => [[block], []]);
  for (const block of right) {
    const touching = waiting.filter(([ours, theirs]) => [...ours, ...theirs].some((other) => other.axes.some((a) => block.axes.includes(a))));
    const merged = [touching.flatMap(([ours]) => ours), [...touching.flatMap(([, theirs]) => theirs), block]];
    for (const part of touching) waiting.splice(waiting.indexOf(part), 1);
    waiting.push(merged);
  }
  found.push(...waiting);
  return found;
}

function equal(a, b) {
  if (a === b) return true;
  if (a.mask === b.mask) return a.shape.every((n, k) => n === b.shape[k] && a.origin[k] === b.origin[k]);
  if (a.mask.length !== b.mask.length || a.shape.some((n, k) => n !== b.shape[k] || a.origin[k] !== b.origin[k])) return false;
  for (let k = 0; k < a.mask.length; k++) if (a.mask[k] !== b.mask[k]) return false;
  return true;
}

/** Whether block `a` holds every cell of `b`, which has the same axes in the same order and is trimmed. */
function contains(a, b) {
  if (a.origin.some((o, k) => b.origin[k] < o || b.origin[k] + b.shape[k] > o + a.shape[k])) return false;
  const strides = stridesOf(a.shape);
  const start = a.origin.reduce((sum, o, k) => sum + (b.origin[k] - o) * strides[k], 0);
  const inner = b.shape.at(-1);
  let all = true;
  rows(b.shape, strides, start, (at, place) => {
    for (let k = 0; all && k < inner; k++) if (b.mask[at + k] && !a.mask[place + k]) all = false;
  });
  return all;
}

function either(a, b) {
  const origin = a.origin.map((o, k) => Math.min(o, b.origin[k]));
  const shape = origin.map((o, k) => Math.max(a.origin[k] + a.shape[k], b.origin[k] + b.shape[k]) - o);
  const mask = new Uint8Array(sizeOf(shape));
  const strides = stridesOf(shape);
  for (const block of [a, b]) {
    const start = origin.reduce((sum, o, k) => sum + (block.origin[k] - o) * strides[k], 0);
    const inner = block.shape.at(-1);
    rows(block.shape, strides, start, (at, place) => {
      for (let k = 0; k < inner; k++) mask[place + k] |= block.mask[at + k];
    });
  }
  return { axes: a.axes, shape, origin, mask };
}
