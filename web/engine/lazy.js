/**
 * Arrays of numbers that are lazily broadcast: an axis along which values do not vary has length 1. Folding them forward through a
 * relation, each output takes the lowest or the highest of what it reads. The twin of isopter/reads/gather.py.
 */

import { listing, readsOf } from "./maps.js";
import { sizeOf, stridesOf, walk } from "./sets.js";

/**
 * @typedef {{shape: number[], data: Float64Array}} Lazy
 * @typedef {{of: (a: number, b: number) => number, none: number}} Pick  `none` is what a position that reads nothing takes
 */

/** @type {Pick} */
export const LOWEST = { of: Math.min, none: Infinity };
/** @type {Pick} */
export const HIGHEST = { of: Math.max, none: -Infinity };

/** An array of one number. @returns {Lazy} */
export const constant = (ndim, value) => ({ shape: new Array(ndim).fill(1), data: Float64Array.of(value) });

/** An array that counts along one axis, from `first`. @returns {Lazy} */
export function counting(ndim, axis, length, first = 0) {
  const shape = new Array(ndim).fill(1);
  shape[axis] = length;
  return { shape, data: Float64Array.from({ length }, (_, k) => k + first) };
}

/** The same numbers under another shape of as many cells. @returns {Lazy} */
export const reshaped = (values, shape) => ({ shape, data: values.data });

/** Axes in another order. @param {Lazy} values @param {number[]} order @returns {Lazy} */
export function transposed(values, order) {
  const strides = stridesOf(values.shape);
  return viewed(values, order.map((axis) => values.shape[axis]), order.map((axis) => strides[axis]), 0);
}

/** Written out over `shape`. @param {Lazy} values @param {number[]} shape @returns {Lazy} */
export function broadcast(values, shape) {
  if (values.shape.every((n, k) => n === shape[k])) return values;
  return viewed(values, shape, broadcastSteps(values.shape), 0);
}

/** Row-major steps, 0 along axes of length 1. @param {number[]} shape */
export const broadcastSteps = (shape) => stridesOf(shape).map((step, k) => (shape[k] === 1 ? 0 : step));

function viewed(values, shape, steps, start) {
  const data = new Float64Array(sizeOf(shape));
  walk(shape, steps, start, (at, source) => {
    data[at] = values.data[source];
  });
  return { shape: [...shape], data };
}

/** Cell by cell, broadcast against each other. @param {Lazy} a @param {Lazy} b @param {(x: number, y: number) => number} of */
export function combined(a, b, of) {
  const shape = a.shape.map((n, k) => (n === 1 ? b.shape[k] : n));
  const left = broadcast(a, shape);
  const right = broadcast(b, shape);
  return { shape, data: left.data.map((value, k) => of(value, right.data[k])) };
}

/** Values seen as (outer, along `axis`, inner). */
function planes({ shape }, axis) {
  return { outer: sizeOf(shape.slice(0, axis)), n: shape[axis], inner: sizeOf(shape.slice(axis + 1)) };
}

/** New values along `axis`: number `i` is made by `make(read, i)`, where read(k) is the old value k. @returns {Lazy} */
export function remade(values, axis, length, make) {
  const { outer, n, inner } = planes(values, axis);
  const data = new Float64Array(outer * length * inner);
  for (let a = 0; a < outer; a++) {
    for (let b = 0; b < inner; b++) {
      const base = a * n * inner + b;
      const read = (k) => values.data[base + k * inner];
      for (let i = 0; i < length; i++) data[(a * length + i) * inner + b] = make(read, i);
    }
  }
  return { shape: values.shape.with(axis, length), data };
}

/** The lowest or highest along `axis`, which becomes 1 long. @param {Lazy} values @param {number} axis @param {Pick} pick */
export function reduced(values, axis, pick) {
  const n = values.shape[axis];
  return n === 1 ? values : remade(values, axis, 1, (read) => over(read, 0, n, pick));
}

function over(read, from, to, pick) {
  let best = pick.none;
  for (let k = from; k < to; k++) best = pick.of(best, read(k));
  return best;
}

/** Length 1 again for those of `axes` along which values turn out not to vary. @param {Lazy} values @param {number[]} axes */
export function collapsed(values, axes) {
  let result = values;
  for (const axis of axes) {
    const { outer, n, inner } = planes(result, axis);
    if (n < 2) continue;
    const { data } = result;
    let alike = true;
    for (let a = 0; a < outer && alike; a++) {
      for (let k = inner; k < n * inner; k++) {
        if (data[a * n * inner + k] !== data[a * n * inner + (k % inner)]) {
          alike = false;
          break;
        }
      }
    }
    if (alike) result = remade(result, axis, 1, (read) => read(0));
  }
  return result;
}

/** Numbers of 0 and 1 from marks kept as slices, with leading axes of length 1 up to `ndim`. @returns {Lazy} */
export function marks({ shape, slice, different, which }, ndim) {
  const data = new Float64Array(sizeOf(shape));
  for (let k = 0; k < data.length; k++) data[k] = different[which[Math.floor(k / slice)] * slice + (k % slice)];
  return { shape: [...new Array(ndim - shape.length).fill(1), ...shape], data };
}

/** `none` where marked, values elsewhere. @param {Lazy} values @param {object} unread @param {Pick} pick */
export function unlessMarked(values, unread, pick) {
  return combined(values, marks(unread, values.shape.length), (value, marked) => (marked ? pick.none : value));
}

/**
 * Each output's lowest or highest value over the input positions it reads.
 * @param {object} relation @param {Lazy} values @param {number[]} shapeIn @param {number[]} shapeOut @param {Pick} pick @returns {Lazy}
 */
export function gather(relation, values, shapeIn, shapeOut, pick) {
  let found = linkedOnly(relation, values, shapeIn, pick);
  let at = 0;
  for (const { outs, ins, map } of relation.links) {
    const sizesIn = ins.map((axis) => shapeIn[axis]);
    const sizesOut = outs.map((axis) => shapeOut[axis]);
    if (map.kind === "regroup") found = regrouped(found, at, sizesIn, sizesOut);
    else if (map.grouped) found = lookedUp(map, found, at, sizesIn, sizesOut, pick);
    else found = gatherAxis(map, found, at, sizesOut[0], sizesIn[0], pick);
    at += outs.length;
  }
  found = inOrder(relation, found, shapeOut.length);
  return relation.unread ? unlessMarked(found, relation.unread, pick) : found;
}

/** Axes that no link names are read whole and dropped; the others stand in the order of the links. */
export function linkedOnly(relation, values, shapeIn, pick) {
  const order = relation.links.flatMap((link) => link.ins);
  const rest = shapeIn.map((_, axis) => axis).filter((axis) => !order.includes(axis));
  let found = values;
  for (const axis of rest) found = shapeIn[axis] === 0 ? remade(found, axis, 1, () => pick.none) : reduced(found, axis, pick);
  found = transposed(found, [...order, ...rest]);
  return reshaped(found, found.shape.slice(0, order.length));
}

/** From the order of the links to that of the output's axes, those that no link names 1 long. */
export function inOrder(relation, values, ndim) {
  const outs = relation.links.flatMap((link) => link.outs);
  const order = outs.map((_, k) => k).sort((a, b) => outs[a] - outs[b]);
  const sorted = transposed(values, order);
  const shape = new Array(ndim).fill(1);
  order.forEach((k, at) => {
    shape[outs[k]] = sorted.shape[at];
  });
  return reshaped(sorted, shape);
}

/** `gather` along one axis: it is `nIn` long in `values`, or 1 where they do not vary. */
export function gatherAxis(map, values, axis, nOut, nIn, pick) {
  if (map.kind === "same") return values;
  if (nIn === 0) return remade(values, axis, 1, () => pick.none);
  if (map.kind === "whole") return reduced(values, axis, pick);
  if (map.kind === "span") return overSpans(map, values, axis, nOut, pick);
  const { starts, items } = readsOf(map, nOut, nIn);
  const single = values.shape[axis] === 1;
  if (single && starts.every((start, i) => i === 0 || start > starts[i - 1])) return values;
  return remade(values, axis, nOut, (read, i) => {
    let best = pick.none;
    for (let k = starts[i]; k < starts[i + 1]; k++) best = pick.of(best, read(single ? 0 : items[k]));
    return best;
  });
}

function overSpans({ lo, hi }, values, axis, nOut, pick) {
  const single = values.shape[axis] === 1;
  if (single) return lo.every((low, i) => low < hi[i]) ? values : remade(values, axis, nOut, (read, i) => (lo[i] < hi[i] ? read(0) : pick.none));
  if (lo.every((low) => low === 0)) return overPrefixes(hi, values, axis, nOut, pick);
  return remade(values, axis, nOut, (read, i) => over(read, lo[i], hi[i], pick));
}

/** Where all spans begin at 0: one running reduction. */
function overPrefixes(hi, values, axis, nOut, pick) {
  const n = values.shape[axis];
  const running = new Float64Array(n + 1);
  let readBefore = null;
  return remade(values, axis, nOut, (read, i) => {
    if (read !== readBefore) {
      readBefore = read;
      running[0] = pick.none;
      for (let k = 0; k < n; k++) running[k + 1] = pick.of(running[k], read(k));
    }
    return running[Math.max(hi[i], 0)];
  });
}

function regrouped(values, at, sizesIn, sizesOut) {
  const { before, group, after } = around(values, at, sizesIn.length);
  if (group.every((n) => n === 1)) return reshaped(values, [...before, ...sizesOut.map(() => 1), ...after]);
  const full = broadcast(values, [...before, ...sizesIn, ...after]);
  return collapsed(reshaped(full, [...before, ...sizesOut, ...after]), sizesOut.map((_, k) => at + k));
}

/** The axes before, in and after a group of `k` axes. */
export function around({ shape }, at, k) {
  return { before: shape.slice(0, at), group: shape.slice(at, at + k), after: shape.slice(at + k) };
}

function lookedUp(map, values, at, sizesIn, sizesOut, pick) {
  const { before, after } = around(values, at, sizesIn.length);
  const full = broadcast(values, [...before, ...sizesIn, ...after]);
  const flat = reshaped(full, [...before, sizeOf(sizesIn), ...after]);
  const locate = listing(map, sizeOf(sizesIn), false);
  const place = { items: null, from: 0, to: 0, shift: 0 };
  const found = remade(flat, at, sizeOf(sizesOut), (read, i) => {
    locate(i, place);
    let best = pick.none;
    for (let k = place.from; k < place.to; k++) best = pick.of(best, read(place.items[k] + place.shift));
    return best;
  });
  return collapsed(reshaped(found, [...before, ...sizesOut, ...after]), sizesOut.map((_, k) => at + k));
}
