/**
 * What an op reads after an edit: the rules of isopter/reads/rules/ for the kinds whose reads depend on sizes or numbers. The others read
 * as they did.
 */

import { mapOf } from "../maps.js";
import { ordered, straightRelation, turnedRelation } from "./layout.js";
import { resampledRows } from "./resample.js";
import { regroup } from "./shapes.js";

/** The relation in which every position reads its own. */
export const identity = (ndim) => along(ndim, {});

/**
 * The relations of each input of an op, for its new numbers and shapes; null where it reads as it did.
 * @param {{kind: string, params: object, window?: object, shape: number[], inputs: number[]}} op  as edited
 * @param {number[][]} shapes  of its inputs @param {object[]} old  relations it had @param {(code: Array) => object} make  maps by code
 * @returns {object[][]|null}
 */
export function relationsOf(op, shapes, old, make) {
  const layout = op.params?.layout;
  if (!layout) return RULES[op.kind]?.(op, shapes, old, make) ?? null;
  const straight = { ...op, shape: ordered(op.shape, layout) };
  const [first, ...others] = shapes;
  const found = RULES[op.kind]?.(straight, [ordered(first, layout), ...others], old.map((r) => straightRelation(r, layout)), make);
  return found?.map((relations, k) => relations.map((relation) => turnedRelation(relation, layout, k === 0))) ?? null;
}

function along(ndim, maps, options = {}) {
  const links = [];
  for (let axis = 0; axis < ndim; axis++) {
    const map = axis in maps ? maps[axis] : SAME;
    if (map !== null) links.push({ outs: [axis], ins: [axis], map });
  }
  return { links, summary: false, unread: null, exactness: "exact", ...options };
}

function linked(pairs, options = {}) {
  return { links: pairs.map(([o, i]) => ({ outs: [o], ins: [i], map: SAME })), summary: false, unread: null, exactness: "exact", ...options };
}

const SAME = mapOf("=");
const WHOLE = mapOf("*");
const REGROUP = mapOf("#");

const windowMap = (make, size, stride, dilation, pad) => (size === 1 && stride === 1 && pad === 0 ? SAME : make(["w", size, stride, dilation, pad]));

function takeMap(rows, plane = null) {
  const width = Math.max(1, ...rows.map((row) => row.length));
  const items = new Int32Array(rows.length * width).fill(-1);
  rows.forEach((row, i) => items.set(row, i * width));
  return { kind: "take", grouped: false, cache: new Map(), rows: { shape: [rows.length, width], items }, plane };
}

function spanMap(lo, hi, plane = null) {
  return { kind: "span", grouped: false, cache: new Map(), lo: Int32Array.from(lo), hi: Int32Array.from(hi), plane };
}

const range = (n, of) => Array.from({ length: n }, (_, i) => of(i));
const modulo = (a, n) => ((a % n) + n) % n;

const RULES = { conv, conv_transpose: convTranspose, pool, adaptive_pool: adaptivePool, resample, pointwise, matmul, reshape, slice, pad, roll, concat, scan, recurrent };

// ---- windows -----------------------------------------------------------------------------------------------------------------

/** The channel map of the old relation: that of its groups, or null where all channels are read. */
const channelsOf = (old) => old[0]?.links.find(({ ins }) => ins[0] === 1)?.map ?? null;

function numbersOf({ window, params }) {
  const { kernel, stride, dilation, pad: pads } = window ?? params;
  return kernel.map((size, k) => [size, stride[k], dilation[k], pads[k]]);
}

function conv(op, shapes, old, make) {
  const channels = channelsOf(old);
  const ndim = op.shape.length;
  const filters = shapes.length === 2 ? [[filtersOf(op, shapes, 0, false)]] : [];
  const { taps } = op.params ?? {};
  if (taps) {
    const exactness = op.params.same_taps === false ? "bound" : "exact";
    const one = (tap) => {
      const maps = { 1: channels };
      numbersOf(op).forEach(([, stride, dilation, before], k) => (maps[2 + k] = make(["w", 1, stride, 1, before - dilation * tap[k]])));
      return along(ndim, maps, { exactness });
    };
    return [taps.map(one), ...filters];
  }
  const maps = { 1: channels };
  numbersOf(op).forEach((numbers, k) => (maps[2 + k] = windowMap(make, ...numbers)));
  return [[along(ndim, maps)], ...filters];
}

function convTranspose(op, shapes, old, make) {
  const maps = { 1: channelsOf(old) };
  numbersOf(op).forEach((numbers, k) => (maps[2 + k] = make(["s", ...numbers])));
  const own = [along(op.shape.length, maps)];
  if (shapes.length === 1) return [own];
  const groups = op.window?.groups ?? op.params.groups ?? 1;
  return [own, [groups === 1 ? filtersOf(op, shapes, 1, true) : linked([], { exactness: "bound" })]];
}

function filtersOf(op, shapes, channel, transposed) {
  const links = linked([[1, channel]]).links;
  numbersOf(op).forEach(([size, stride, dilation, before], k) => {
    const axis = 2 + k;
    let all = true;
    const rows = range(op.shape[axis], (at) =>
      range(size, (tap) => {
        const place = transposed ? at + before - dilation * tap : at * stride - before + dilation * tap;
        const source = transposed ? Math.floor(place / stride) : place;
        const read = (!transposed || modulo(place, stride) === 0) && source >= 0 && source < shapes[0][axis];
        all &&= read;
        return read ? tap : -1;
      }),
    );
    if (!all) links.push({ outs: [axis], ins: [axis], map: takeMap(rows) });
  });
  return { ...linked([]), links };
}

function pool(op, shapes, _old, make) {
  const numbers = numbersOf(op);
  const first = op.shape.length - numbers.length;
  const maps = {};
  numbers.forEach((four, k) => (maps[first + k] = windowMap(make, ...four)));
  const space = shapes[0].slice(first);
  const everything = op.params.mode === "avg" && space.every((n, k) => n === numbers[k][0]) && Math.max(0, ...space) > 2;
  return [[along(op.shape.length, maps, { summary: everything })]];
}

function adaptivePool(op, shapes) {
  const ndim = op.shape.length;
  const maps = {};
  for (let axis = ndim - op.params.axes; axis < ndim; axis++) {
    const [n, m] = [shapes[0][axis], op.shape[axis]];
    maps[axis] = m === 1 ? null : n === m ? SAME : adaptive(n, m);
  }
  return [[along(ndim, maps, { summary: Object.values(maps).includes(null) })]];
}

function adaptive(n, m) {
  const lo = range(m, (i) => Math.floor((i * n) / m));
  const hi = range(m, (i) => Math.ceil(((i + 1) * n) / m));
  let [period, common] = [m, n];
  while (common) [period, common] = [common, period % common];
  const widest = Math.max(...lo.map((low, i) => hi[i] - low));
  const rows = range(m / period, (i) => range(widest, (t) => (lo[i] + t < hi[i] ? lo[i] + t : lo[i])));
  return spanMap(lo, hi, { jump: n / period, rows });
}

function resample(op, shapes) {
  const { steps, fractions, mode } = op.params;
  const ndim = op.shape.length;
  const first = ndim - steps.length;
  const maps = {};
  let decided = true;
  steps.forEach((step, k) => {
    const { rows, plane } = resampledRows(shapes[0][first + k], op.shape[first + k], step, fractions[k], op.params);
    maps[first + k] = takeMap(rows, plane);
    if (mode.startsWith("nearest") && maps[first + k].rows.shape[1] !== 1) decided = false;
  });
  return [[along(ndim, maps, { exactness: decided ? "exact" : "bound" })]];
}

// ---- the others --------------------------------------------------------------------------------------------------------------

function pointwise(op, shapes, old) {
  const { unread } = old.find((relation) => relation.unread) ?? { unread: null };
  return shapes.map((shape) => {
    const lead = op.shape.length - shape.length;
    return [linked(shape.map((_, axis) => [lead + axis, axis]).filter(([o, axis]) => op.shape[o] === shape[axis]), { unread })];
  });
}

function matmul(op, shapes) {
  const { operands, patterned } = op.params;
  if (patterned) return null;
  const ndim = op.shape.length;
  return shapes.map((shape, k) => {
    const lead = ndim - shape.length;
    const left = operands[k] === "left";
    const pairs = [];
    for (let axis = lead; axis < ndim - 2; axis++) if (shape[axis - lead] === op.shape[axis]) pairs.push([axis, axis - lead]);
    pairs.push(left ? [ndim - 2, shape.length - 2] : [ndim - 1, shape.length - 1]);
    return [linked(pairs, { summary: operands.length === 1 && shape.length === 2 })];
  });
}

function reshape(op, shapes) {
  if (op.params?.pairs) return null;
  const links = regroup(shapes[0], op.shape).map(([outs, ins]) => ({ outs, ins, map: ins.length === 1 && outs.length === 1 ? SAME : REGROUP }));
  return [[{ ...linked([]), links }]];
}

function slice(op, _shapes, _old, make) {
  const { axis, start, step } = op.params;
  return [[along(op.shape.length, { [axis]: make(["w", 1, step, 1, -start]) })]];
}

function pad(op, shapes, _old, make) {
  const { before, mode } = op.params;
  const maps = {};
  before.forEach((front, axis) => {
    const [n, m] = [shapes[0][axis], op.shape[axis]];
    if (front === 0 && n === m) return;
    const shift = make(["w", 1, 1, 1, front]);
    maps[axis] = mode === "constant" ? shift : takeMap(range(m, (i) => [fold(i - front, n, mode)]), shift.plane);
  });
  return [[along(op.shape.length, maps)]];
}

function fold(position, n, mode) {
  if (mode === "replicate") return Math.min(Math.max(position, 0), n - 1);
  if (mode !== "reflect") return modulo(position, n);
  const turned = Math.abs(position) % Math.max(2 * (n - 1), 1);
  return Math.min(turned, 2 * (n - 1) - turned);
}

function roll(op, _shapes, _old, make) {
  const maps = {};
  for (const [axis, shift] of op.params.shifts) {
    maps[axis] = takeMap(range(op.shape[axis], (i) => [modulo(i - shift, op.shape[axis])]), make(["w", 1, 1, 1, shift]).plane);
  }
  return [[along(op.shape.length, maps)]];
}

function concat(op, shapes, _old, make) {
  const { axis, offsets } = op.params;
  const m = op.shape[axis];
  return shapes.map((shape, k) => {
    const offset = offsets[k];
    if (offset === 0 && shape[axis] >= m) return [identity(op.shape.length)];
    const place = shapes.length === 1 ? make(["w", 1, 1, 1, offset]) : takeMap(range(m, (i) => (i >= offset && i - offset < shape[axis] ? [i - offset] : [])));
    return [along(op.shape.length, { [axis]: place })];
  });
}

const causal = (n, reverse = false) => spanMap(range(n, (i) => (reverse ? i : 0)), range(n, (i) => (reverse ? n : i + 1)));

function scan(op) {
  const { axis, reverse = false } = op.params;
  return [[along(op.shape.length, { [axis]: causal(op.shape[axis], reverse) })]];
}

function recurrent(op, shapes, old) {
  const { time, layers, bidirectional } = op.params;
  const last = op.shape.length - 1;
  const one = (map, unread = null) => along(op.shape.length, { [last]: null, [time]: map }, { unread });
  const steps = op.shape[time];
  const states = shapes.slice(1).map(() => [op.shape.length === 3 ? linked([[1 - time, 1]]) : linked([])]);
  if (!bidirectional) return [[one(causal(steps))], ...states];
  if (layers > 1) return [[one(WHOLE)], ...states];
  const marks = old.filter((relation) => relation.unread).map((relation) => relation.unread);
  return [[false, true].map((reverse, k) => one(causal(steps, reverse), marks[k])), ...states];
}
