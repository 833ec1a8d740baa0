/** Shapes after an edit. The twin of isopter/design/shapes.py: the same answers, and the same reasons. */

import { sizeOf } from "../sets.js";
import { ordered, restored } from "./layout.js";
import { edited, editedTransposed, ended, endedTransposed, Misfit, transposedCount, windowCount } from "./windows.js";

/**
 * @typedef {object} Place
 * @property {object} op  as captured
 * @property {number[][]} before  the shapes it then read
 * @property {number[][]} now  those it reads now
 * @property {string[]} names  of its inputs
 * @property {object|null} edit  some of kernel, stride, dilation, padding: a number per space axis
 * @property {number[]} units  which axes of the first input carry space
 * @property {(axis: number) => number} [own]  an axis as the op itself counts it, if its axes were put in the order of rules
 * @property {string[]} notes  what was assumed of the op, in plain sentences; filled here
 */

const equal = (a, b) => a.length === b.length && a.every((n, k) => n === b[k]);

/** Numbers and shape of an op among its new inputs. @param {Place} place @returns {{params: object, shape: number[]}} */
export function after(place) {
  const { op, before, now, edit } = place;
  if (!edit && before.every((shape, k) => equal(shape, now[k]))) return { params: op.params, shape: op.shape };
  const function_ = SHAPES[op.kind];
  if (!function_ || before.some((shape, k) => shape.length !== now[k].length)) {
    throw new Misfit(`what ${op.source || op.kind} makes of another size (${moves(place)}) is not known`);
  }
  const layout = op.params?.layout;
  if (!layout) return { params: op.params, ...function_(place) };
  const turn = ([first, ...others]) => [ordered(first, layout), ...others];
  const straight = { ...op, shape: ordered(op.shape, layout) };
  const found = function_({ ...place, op: straight, before: turn(before), now: turn(now), own: (axis) => layout[axis] });
  return { params: op.params, ...found, shape: restored(found.shape, layout) };
}

/** An axis as the op itself counts it. */
const named = (place, axis) => place.own?.(axis) ?? axis;

/** [1, 64, 28, 28] as text: 1x64x28x28. */
export const show = (shape) => shape.join("x") || "a number";

const moves = ({ before, now }) =>
  before.map((shape, k) => (equal(shape, now[k]) ? null : `${show(now[k])} instead of ${show(shape)}`)).filter(Boolean).join(", ");

const same = ({ before, now }, axis) => before[0][axis] === now[0][axis];

const SHAPES = {
  conv: windowed,
  conv_transpose: windowed,
  pool: windowed,
  adaptive_pool: adaptive,
  resample: resampled,
  pointwise,
  overlay: pointwise,
  norm: alike,
  scan: alike,
  roll: (place) => {
    for (const [axis, shift] of place.op.params.shifts) {
      if (shift && !same(place, axis)) place.notes.push(`Assumed to roll axis ${axis} by ${shift} at any size`);
    }
    return { shape: place.now[0] };
  },
  softmax: mixed,
  sort: mixed,
  fourier: mixed,
  reduce: ({ op, now }) => {
    const { axes, keepdim } = op.params;
    return { shape: now[0].map((n, axis) => (axes.includes(axis) ? 1 : n)).filter((_, axis) => keepdim || !axes.includes(axis)) };
  },
  recurrent,
  matmul,
  transpose: ({ op, now }) => ({ shape: op.params.perm.map((axis) => now[0][axis]) }),
  pad,
  slice,
  concat,
  reshape,
  take: (place) => {
    const { op, before, now } = place;
    const { axis } = op.params;
    if (!same(place, axis)) throw new Misfit(`it reads listed positions of axis ${axis}, which was ${before[0][axis]} long and is now ${now[0][axis]}`);
    return { shape: now[0].with(axis, op.shape[axis]) };
  },
  gather: (place) => {
    const { op, before, now } = place;
    if (!op.params.ins.every((axis) => same(place, axis))) throw new Misfit(`it reads listed positions of ${show(before[0])}, which is now ${show(now[0])}`);
    const shape = [...op.shape];
    for (const [out, axis] of op.params.pairs) shape[out] = now[0][axis];
    return { shape };
  },
};

// ---- windows -----------------------------------------------------------------------------------------------------------------

function windowed(place) {
  const { op, before, now, edit } = place;
  const numbers = op.window ?? op.params;
  const shape = [...now[0]];
  const first = op.shape.length - numbers.kernel.length;
  if (op.kind !== "pool") {
    if (!same(place, 1)) throw new Misfit(`its weights take ${before[0][1]} channels, not ${now[0][1]}`);
    if (now.length > 1 && (edit?.kernel || !equal(before[1], now[1]))) throw new Misfit("its filters are computed, and would have to change too");
    shape[1] = op.shape[1];
  }
  if (before.some((was, k) => !equal(was, now[k])) && averagesAll(place, numbers)) {
    throw new Misfit(`it averages the whole map of ${show(before[0].slice(first))}; whether its window follows another size is not known`);
  }
  const windows = numbers.kernel.map((_, k) => {
    const axis = first + k;
    const plain = { kernel: numbers.kernel[k], stride: numbers.stride[k], dilation: numbers.dilation[k], pad: numbers.pad[k] };
    const own = editOf(edit, k);
    const [n, m] = [before[0][axis], op.shape[axis]];
    if (op.kind === "conv_transpose") {
      const window = editedTransposed(endedTransposed(plain, n, m), own);
      shape[axis] = transposedCount(window, now[0][axis]);
      return window;
    }
    const seen = ended({ ...plain, back: 0, ceil: Boolean(op.params?.ceil) }, n, m);
    if (seen.back !== seen.pad && now[0][axis] !== n && own.padding === undefined) {
      place.notes.push(`Assumed to pad axis ${named(place, axis)} by ${seen.pad} in front and ${seen.back} behind at any size`);
    }
    const window = edited(seen, own);
    shape[axis] = windowCount(window, now[0][axis]);
    return window;
  });
  const found = Object.fromEntries(["kernel", "stride", "dilation", "pad"].map((key) => [key, windows.map((window) => window[key])]));
  return op.window ? { shape, window: { ...op.window, ...found } } : { shape, params: { ...op.params, ...found } };
}

/** Whether the window is the whole map, which may be by its size or by chance. */
function averagesAll({ op, before, edit }, { kernel }) {
  const space = before[0].slice(-kernel.length);
  return op.params?.mode === "avg" && equal(kernel, space) && Math.max(...space) > 2 && !edit?.kernel;
}

/** The edit of one axis: a number per axis, or one for all. */
function editOf(edit, k) {
  if (!edit) return {};
  return Object.fromEntries(Object.entries(edit).map(([key, value]) => [key, Array.isArray(value) ? value[k] : value]));
}

function adaptive(place) {
  const { op, now } = place;
  const first = op.shape.length - op.params.axes;
  if (op.shape.some((n, axis) => axis >= first && n > 1 && !same(place, axis))) {
    place.notes.push(`Assumed to pool to ${show(op.shape.slice(first))} positions at any size`);
  }
  return { shape: [...now[0].slice(0, first), ...op.shape.slice(first)] };
}

function resampled(place) {
  const { op, before, now, notes } = place;
  const shape = [...now[0]];
  const { steps, fractions } = op.params;
  const first = op.shape.length - steps.length;
  steps.forEach((step, k) => {
    const axis = first + k;
    const [n, m, given] = [before[0][axis], op.shape[axis], now[0][axis]];
    const [up, down] = step === null ? [m, n] : [fractions[k][1], fractions[k][0]];
    if (given === n) {
      shape[axis] = m;
    } else if (Math.floor((n * up) / down) !== m || (step === null && (given * up) % down !== 0)) {
      const wanted = Number(((given * up) / down).toPrecision(4));
      throw new Misfit(`it resamples ${n} positions to ${m}: of ${given} it would make ${wanted}, which is no whole number`);
    } else {
      shape[axis] = Math.floor((given * up) / down);
      if (step === null) notes.push(`Assumed to resample axis ${named(place, axis)} by the ratio of ${n} to ${m}, not to a fixed size`);
    }
  });
  return { shape };
}

// ---- every position for itself -----------------------------------------------------------------------------------------------

function pointwise(place) {
  const shape = broadcast(place, place.op.shape);
  fitsMask(place, shape);
  const constant = place.op.params?.constant ?? [];
  if (constant.some((n, k) => n > 1 && place.op.shape.at(k - constant.length) !== shape.at(k - constant.length))) {
    place.notes.push(`Assumed to have a constant, ${show(constant)}, that changes with the map`);
  }
  return { shape };
}

function broadcast(place, old) {
  return old.map((length, axis) => {
    const seen = place.now.map((shape, k) => [shape[axis - old.length + shape.length], place.before[k][axis - old.length + shape.length]]);
    const lengths = seen.filter(([n]) => n !== undefined);
    const sizes = [...new Set(lengths.map(([n]) => n).filter((n) => n !== 1))];
    if (sizes.length > 1) throw new Misfit(mismatch(place, "joins"));
    const stretched = length > 1 && lengths.every(([, was]) => was === 1);
    if (stretched && sizes.length && sizes[0] !== length) {
      throw new Misfit(`a constant made axis ${axis} ${length} long, and an input is now ${sizes[0]} long there`);
    }
    return stretched ? length : (sizes[0] ?? 1);
  });
}

function mismatch({ now, names }, what) {
  const branches = new Set(now.map((shape, k) => `${show(shape)} (from ${names[k]})`));
  return `it ${what} ${[...branches].join(" and ")}`;
}

function fitsMask({ op }, shape) {
  const mask = op.params?.mask;
  if (!mask) return;
  for (let k = 1; k <= Math.min(mask.length, shape.length); k++) {
    if (mask.at(-k) > 1 && op.shape.at(-k) !== shape.at(-k)) {
      throw new Misfit(`a mask of fixed size ${show(mask)} goes with it, and the map is now ${show(shape)}`);
    }
  }
}

function alike(place) {
  const { op, before, now } = place;
  if (["layer_norm", "rms_norm"].includes(op.source) && op.params.axes.some((axis) => !same(place, axis))) {
    const [was, is] = [before[0], now[0]].map((shape) => show(op.params.axes.map((axis) => shape[axis])));
    throw new Misfit(`it normalises ${was}, not ${is}`);
  }
  return { shape: now[0] };
}

function mixed(place) {
  const { op, before, now } = place;
  const shape = now[0].map((n, axis) => {
    if (op.shape[axis] === before[0][axis]) return n;
    if (same(place, axis)) return op.shape[axis];
    const kept = `${op.shape[axis]} of ${before[0][axis]}`;
    throw new Misfit(`it kept ${kept} positions of axis ${axis}; how many of ${n} it would keep is not known`);
  });
  fitsMask(place, shape);
  return { shape };
}

function recurrent(place) {
  const { op, before, now } = place;
  const last = now[0].length - 1;
  if (!same(place, last)) throw new Misfit(`its weights take ${before[0][last]} features, not ${now[0][last]}`);
  if (now.slice(1).some((shape, k) => !equal(shape, before[k + 1]))) throw new Misfit("its first state has another size");
  return { shape: now[0].with(last, op.shape[last]) };
}

function matmul(place) {
  const { op, before, now } = place;
  const old = op.shape;
  const { operands } = op.params;
  let [rows, columns] = old.slice(-2);
  const contracted = new Set();
  operands.forEach((side, k) => {
    const mixedAxis = side === "left" ? -1 : -2;
    contracted.add(now[k].at(mixedAxis));
    if (side === "left") rows = now[k].at(-2);
    else columns = now[k].at(-1);
    if (operands.length === 1 && now[k].at(mixedAxis) !== before[k].at(mixedAxis)) {
      throw new Misfit(`its weights take ${before[k].at(mixedAxis)} features, not ${now[k].at(mixedAxis)}`);
    }
  });
  if (contracted.size > 1) throw new Misfit(mismatch(place, "multiplies"));
  const batch = { ...place, before: before.map((shape) => shape.slice(0, -2)), now: now.map((shape) => shape.slice(0, -2)) };
  const shape = [...broadcast(batch, old.slice(0, -2)), rows, columns];
  if (op.params.patterned) throw new Misfit(`a mask of fixed size goes with it, and the map is now ${show(shape)}`);
  return { shape };
}

// ---- moves -------------------------------------------------------------------------------------------------------------------

function pad({ op, before, now, notes }) {
  const { before: fronts, mode } = op.params;
  const shape = fronts.map((front, axis) => {
    const given = now[0][axis];
    const behind = op.shape[axis] - before[0][axis] - front;
    const most = Math.max(front, behind);
    const limit = mode === "reflect" ? given - 1 : mode === "circular" ? given : most;
    if (most > limit) throw new Misfit(`${mode} padding of ${most} is more than axis ${axis} of length ${given} has to offer`);
    if (given + front + behind < 1) throw new Misfit(`it crops all ${given} positions of axis ${axis}`);
    if (given !== before[0][axis] && (front || behind)) notes.push(`Assumed to pad axis ${axis} by ${front} in front and ${behind} behind at any size`);
    return given + front + behind;
  });
  return { shape };
}

function slice({ op, before, now, units, notes }) {
  const { axis, start, step } = op.params;
  const [n, m, given] = [before[0][axis], op.shape[axis], now[0][axis]];
  const long = (length, params = op.params) => ({ shape: now[0].with(axis, length), params });
  if (given === n) return long(m);
  const first = start === 0 && step === 1 && m === 1;
  if (first && !units.includes(axis)) {
    notes.push(`Assumed to take the first position of axis ${axis} alone at any size`);
    return long(1);
  }
  if (step < 0 && start === n - 1 && m === Math.ceil(n / -step)) return long(Math.ceil(given / -step), { ...op.params, start: given - 1 });
  const toTheEnd = !first && step > 0 && start + m * step >= n && 2 * start <= Math.max(n - 1, 2 * step - 2);
  if (!toTheEnd || start >= given) {
    const last = start + (m - 1) * step;
    throw new Misfit(`it takes positions ${start} to ${last} of ${n} along axis ${axis}; which those are of ${given} is not known`);
  }
  notes.push(`Assumed to run to the end of axis ${axis} at any size`);
  return long(Math.ceil((given - start) / step));
}

function concat(place) {
  const { op, before, now } = place;
  const { axis, offsets } = op.params;
  const others = new Set(now.map((shape) => show(shape.with(axis, 0))));
  if (others.size > 1) throw new Misfit(mismatch(place, "joins"));
  const constants = before.reduce((sum, shape) => sum + shape[axis], 0) < op.shape[axis];
  if (constants && !equal(now[0].with(axis, 0), op.shape.with(axis, 0))) {
    throw new Misfit(`it joins ${show(now[0])} with a constant whose size is not known to change`);
  }
  if (constants && before.some((was, k) => was[axis] !== now[k][axis])) {
    place.notes.push(`Assumed to join constants that keep their length along axis ${axis}`);
  }
  let shift = 0;
  const moved = [...offsets];
  const order = now.map((_, k) => k).sort((a, b) => offsets[a] - offsets[b] || before[a][axis] - before[b][axis]);
  for (const k of order) {
    moved[k] = offsets[k] + shift;
    shift += now[k][axis] - before[k][axis];
  }
  return { shape: now[0].with(axis, op.shape[axis] + shift), params: { ...op.params, offsets: moved } };
}

function reshape({ op, before, now }) {
  const [old, given, out] = [before[0], now[0], op.shape];
  const shape = [...out];
  const groups = op.params?.pairs ? op.params.pairs.map(([o, i]) => [[o], [i]]) : regroup(old, out);
  for (const [outs, ins] of groups) {
    if (ins.every((axis) => old[axis] === given[axis])) continue;
    const some = outs.filter((axis) => out[axis] > 1);
    const long = some.length ? some : [outs[0]];
    if (long.length > 1) {
      const [was, wanted, is] = [ins.map((axis) => old[axis]), outs.map((axis) => out[axis]), ins.map((axis) => given[axis])].map(show);
      throw new Misfit(`it splits ${was} into ${wanted}; how it would split ${is} is not known`);
    }
    shape[long[0]] = sizeOf(ins.map((axis) => given[axis]));
  }
  if (sizeOf(shape) !== sizeOf(given)) throw new Misfit(`it makes ${show(out)} of ${show(old)}; what it would make of ${show(given)} is not known`);
  return { shape };
}

/** The smallest groups of axes (outer, inner) that hold the same elements. The twin of `regroup` in isopter/reads/relation.py. */
export function regroup(inner, outer) {
  if (sizeOf(inner) === 0) return [[outer.map((_, k) => k), inner.map((_, k) => k)]];
  const groups = [];
  let [i, o] = [0, 0];
  while (i < inner.length && o < outer.length) {
    const [ins, outs] = [[i], [o]];
    let [sizeIn, sizeOut] = [inner[i++], outer[o++]];
    while (sizeIn !== sizeOut) {
      if (sizeIn < sizeOut) {
        ins.push(i);
        sizeIn *= inner[i++];
      } else {
        outs.push(o);
        sizeOut *= outer[o++];
      }
    }
    groups.push([outs, ins]);
  }
  return groups;
}
