/**
 * Carrying a set of positions through a relation: back to the input positions it reads (pull), or on to the output positions that
 * read it (push). The twin of isopter/reads/scatter.py.
 */

import { coversInput, coversOutput, listing, NOTHING, readersOf, readsOf, runsOf } from "./maps.js";
import { blockWith, factored, ordered, product, project, run, sizeOf, stridesOf, trim } from "./sets.js";

/** Axes of the side a set goes to are told from those it comes from by this offset, while both occur. */
const THERE = 64;

/**
 * The input positions that `blocks` of the output read; null if there are none.
 * @param {object} relation @param {import("./sets.js").Blocks} blocks @param {number[]} shapeIn @param {number[]} shapeOut
 * @param {number[]|null} plane  output axes along which borders do not exist (their maps must have a plane form)
 */
export function pull(relation, blocks, shapeIn, shapeOut, plane = null) {
  const kept = relation.unread ? without(relation.unread, blocks, shapeOut) : blocks;
  return kept && carry(relation, kept, shapeOut, shapeIn, false, plane);
}

/** The output positions that read any of `blocks` of the input; null if there are none. */
export function push(relation, blocks, shapeIn, shapeOut) {
  const reached = carry(relation, blocks, shapeIn, shapeOut, true, null);
  return reached && (relation.unread ? without(relation.unread, reached, shapeOut) : reached);
}

function carry(relation, blocks, shapeHere, shapeThere, back, plane) {
  const linked = relation.links.flatMap((link) => (back ? link.ins : link.outs));
  const unlinked = shapeHere.map((_, axis) => axis).filter((axis) => !linked.includes(axis));
  let left = unlinked.length ? blocks.map((block) => project(block, unlinked)).filter(Boolean) : [...blocks];
  for (const { outs, ins, map } of relation.links) {
    const here = back ? ins : outs;
    const there = back ? outs : ins;
    if (map.grouped) {
      left = throughGroup(map, left, here, there, shapeHere, shapeThere, back);
    } else {
      const free = plane !== null && plane.includes(outs[0]) && map.plane !== null;
      left = throughAxis(map, left, here[0], there[0], shapeHere[here[0]], shapeThere[there[0]], back, free);
    }
    if (left === null) return null;
  }
  const result = [];
  for (const block of left) {
    const named = { ...block, axes: block.axes.map((axis) => axis - THERE) };
    if (plane !== null || !isFull(named, shapeThere)) result.push(named);
  }
  return result;
}

const isFull = ({ axes, shape, mask }, sizes) => axes.length === 1 && shape[0] === sizes[axes[0]] && mask.every((held) => held === 1);

// ---- one axis to one axis ----------------------------------------------------------------------------------------------------

function throughAxis(map, blocks, here, there, nHere, nThere, back, free) {
  if (map.kind === "same") return blocks.map((block) => renamed(block, here, there));
  if (nThere === 0) return null;
  if (map.kind === "whole") return blocks.map((block) => (block.axes.includes(here) ? project(block, [here]) : block)).filter(Boolean);
  let block = blockWith(blocks, here);
  if (!block) {
    if (free && map.kind !== "span") return blocks;
    if (back ? coversOutput(map, nThere, nHere) : coversInput(map, nHere, nThere)) return blocks;
    block = run(here, 0, nHere);
  }
  const cut = moved(map, block, block.axes.indexOf(here), nHere, nThere, back, free);
  if (!cut) return null;
  return [...blocks.filter((other) => other !== block && !other.axes.includes(here)), renamed(cut, here, there)];
}

/** Axis number k of a block through the map, trimmed; null if nothing is left. */
function moved(map, block, k, nHere, nThere, back, free) {
  if (free) return trimmed(along(block, k, onPlane(map.plane, block.origin[k], block.shape[k]), 0));
  const runs = runsOf(map, back ? nHere : nThere, back);
  if (runs) return trimmed(alongRuns(block, k, runs));
  return trimmed(along(block, k, back ? readersOf(map, nThere, nHere) : readsOf(map, nHere, nThere), block.origin[k]));
}

const trimmed = (block) => block && trim(block);

const renamed = (block, here, there) =>
  block.axes.includes(here) ? { ...block, axes: block.axes.map((axis) => (axis === here ? there + THERE : axis)) } : block;

/** What outputs from .. from + length read on the plane. */
function onPlane({ jump, rows }, from, length) {
  const starts = new Int32Array(length + 1);
  const items = [];
  for (let l = 0; l < length; l++) {
    const turns = Math.floor((from + l) / rows.length);
    for (const tap of rows[from + l - turns * rows.length]) if (tap !== NOTHING) items.push(tap + turns * jump);
    starts[l + 1] = items.length;
  }
  return { starts, items: Int32Array.from(items) };
}

/** Axis number k of a block by `lists`, of which list `first` is that of the block's first position there; null if all are empty. */
function along(block, k, { starts, items }, first) {
  const n = block.shape[k];
  const from = Math.max(0, -first);
  const to = Math.min(n, starts.length - 1 - first);
  const single = block.shape.length === 1;
  const { mask } = block;
  let lo = Infinity;
  let hi = -Infinity;
  for (let l = from; l < to; l++) {
    if (single && !mask[l]) continue;
    for (let i = starts[first + l]; i < starts[first + l + 1]; i++) {
      const at = items[i];
      if (at < lo) lo = at;
      if (at > hi) hi = at;
    }
  }
  if (lo > hi) return null;
  const length = hi - lo + 1;
  const inner = sizeOf(block.shape.slice(k + 1));
  const outer = sizeOf(block.shape.slice(0, k));
  const result = new Uint8Array(outer * length * inner);
  for (let a = 0; a < outer; a++) {
    for (let l = from; l < to; l++) {
      const source = (a * n + l) * inner;
      for (let i = starts[first + l]; i < starts[first + l + 1]; i++) {
        const target = (a * length + items[i] - lo) * inner;
        for (let b = 0; b < inner; b++) result[target + b] |= mask[source + b];
      }
    }
  }
  return { axes: block.axes, shape: block.shape.with(k, length), origin: block.origin.with(k, lo), mask: result };
}

/** The same where each position reads a run [lo, hi): where runs begin and end, added up along the axis. */
function alongRuns(block, k, runs) {
  const n = block.shape[k];
  const first = block.origin[k];
  let lo = Infinity;
  let hi = -Infinity;
  for (let l = Math.max(0, -first); l < n && first + l < runs.lo.length; l++) {
    if (runs.lo[first + l] >= runs.hi[first + l]) continue;
    lo = Math.min(lo, runs.lo[first + l]);
    hi = Math.max(hi, runs.hi[first + l]);
  }
  if (lo >= hi) return null;
  const length = hi - lo;
  const inner = sizeOf(block.shape.slice(k + 1));
  const outer = sizeOf(block.shape.slice(0, k));
  const result = new Uint8Array(outer * length * inner);
  const open = new Int32Array(length + 1);
  for (let a = 0; a < outer; a++) {
    for (let b = 0; b < inner; b++) {
      open.fill(0);
      for (let l = Math.max(0, -first); l < n && first + l < runs.lo.length; l++) {
        if (!block.mask[(a * n + l) * inner + b] || runs.lo[first + l] >= runs.hi[first + l]) continue;
        open[runs.lo[first + l] - lo]++;
        open[runs.hi[first + l] - lo]--;
      }
      for (let i = 0, held = 0; i < length; i++) {
        held += open[i];
        if (held > 0) result[(a * length + i) * inner + b] = 1;
      }
    }
  }
  return { axes: block.axes, shape: block.shape.with(k, length), origin: block.origin.with(k, lo), mask: result };
}

// ---- a group of axes to a group ----------------------------------------------------------------------------------------------

function throughGroup(map, blocks, here, there, shapeHere, shapeThere, back) {
  const touching = blocks.filter((block) => block.axes.some((axis) => here.includes(axis)));
  if (touching.length === 0 && map.kind === "regroup") return blocks;
  const whole = here.filter((axis) => !blockWith(touching, axis)).map((axis) => run(axis, 0, shapeHere[axis]));
  const joined = product([...touching, ...whole]);
  const rest = joined.axes.filter((axis) => !here.includes(axis));
  const cut = trimmed(placed(map, ordered(joined, [...here, ...rest]), here, there, shapeHere, shapeThere, back));
  return cut && [...blocks.filter((block) => !touching.includes(block)), ...factored(cut)];
}

/** The block with its first axes `here` replaced by the axes `there`, cell by cell. */
function placed(map, block, here, there, shapeHere, shapeThere, back) {
  const sizesThere = there.map((axis) => shapeThere[axis]);
  const sizesHere = here.map((axis) => shapeHere[axis]);
  const cells = heldCells(block, here.length, sizesHere);
  const pairs = map.kind === "regroup" ? cells : listed(map, cells, sizeOf(back ? sizesHere : sizesThere), back);
  if (pairs.to.length === 0) return null;
  const steps = stridesOf(sizesThere);
  const lo = there.map(() => Infinity);
  const hi = there.map(() => -Infinity);
  const coordinates = new Int32Array(pairs.to.length * there.length);
  for (let p = 0; p < pairs.to.length; p++) {
    let left = pairs.to[p];
    for (let k = 0; k < there.length; k++) {
      const at = Math.floor(left / steps[k]);
      left -= at * steps[k];
      coordinates[p * there.length + k] = at;
      if (at < lo[k]) lo[k] = at;
      if (at > hi[k]) hi[k] = at;
    }
  }
  const shape = lo.map((low, k) => hi[k] - low + 1);
  const inner = sizeOf(block.shape.slice(here.length));
  const mask = new Uint8Array(sizeOf(shape) * inner);
  for (let p = 0; p < pairs.to.length; p++) {
    let target = 0;
    for (let k = 0; k < there.length; k++) target = target * shape[k] + coordinates[p * there.length + k] - lo[k];
    const source = pairs.from[p] * inner;
    for (let b = 0; b < inner; b++) mask[target * inner + b] |= block.mask[source + b];
  }
  return {
    axes: [...there.map((axis) => axis + THERE), ...block.axes.slice(here.length)],
    shape: [...shape, ...block.shape.slice(here.length)],
    origin: [...lo, ...block.origin.slice(here.length)],
    mask,
  };
}

/** The cells of the first `k` axes that hold anything: their row in the block, and their row-major place in a tensor of these sizes. */
function heldCells(block, k, sizes) {
  const shape = block.shape.slice(0, k);
  const count = sizeOf(shape);
  const inner = block.mask.length / count;
  const steps = stridesOf(sizes);
  const index = new Array(k).fill(0);
  let flat = block.origin.slice(0, k).reduce((sum, o, axis) => sum + o * steps[axis], 0);
  const from = [];
  const to = [];
  for (let row = 0; row < count; row++) {
    for (let b = row * inner; b < (row + 1) * inner; b++) {
      if (block.mask[b]) {
        from.push(row);
        to.push(flat);
        break;
      }
    }
    for (let axis = k - 1; axis >= 0; axis--) {
      flat += steps[axis];
      if (++index[axis] < shape[axis]) break;
      flat -= steps[axis] * shape[axis];
      index[axis] = 0;
    }
  }
  return { from, to };
}

/** Each cell with each of the positions listed for it. */
function listed(map, cells, nIn, back) {
  const locate = listing(map, nIn, back);
  const place = { items: null, from: 0, to: 0, shift: 0 };
  const from = [];
  const to = [];
  for (let c = 0; c < cells.to.length; c++) {
    locate(cells.to[c], place);
    for (let i = place.from; i < place.to; i++) {
      from.push(cells.from[c]);
      to.push(place.items[i] + place.shift);
    }
  }
  return { from, to };
}

// ---- outputs that read nothing -----------------------------------------------------------------------------------------------

/** The set without the positions that `unread` marks (broadcast to `shape`); null if nothing is left. */
function without(unread, blocks, shape) {
  const lead = shape.length - unread.shape.length;
  const varying = shape.map((_, axis) => axis).filter((axis) => axis >= lead && unread.shape[axis - lead] > 1);
  if (varying.length === 0) return unread.different[0] ? null : blocks;
  const touching = blocks.filter((block) => block.axes.some((axis) => varying.includes(axis)));
  const whole = varying.filter((axis) => !blockWith(touching, axis)).map((axis) => run(axis, 0, shape[axis]));
  const joined = product([...touching, ...whole]);
  const block = ordered(joined, [...varying, ...joined.axes.filter((axis) => !varying.includes(axis))]);
  const sizes = varying.map((axis) => unread.shape[axis - lead]);
  const count = sizeOf(block.shape.slice(0, varying.length));
  const inner = block.mask.length / count;
  const mask = block.mask.slice();
  const index = new Array(varying.length).fill(0);
  for (let row = 0; row < count; row++) {
    let flat = 0;
    for (let k = 0; k < varying.length; k++) flat = flat * sizes[k] + Math.min(Math.max(block.origin[k] + index[k], 0), sizes[k] - 1);
    if (isMarked(unread, flat)) mask.fill(0, row * inner, (row + 1) * inner);
    for (let k = varying.length - 1; k >= 0; k--) {
      if (++index[k] < block.shape[k]) break;
      index[k] = 0;
    }
  }
  const cut = trim({ ...block, mask });
  return cut && [...blocks.filter((other) => !touching.includes(other)), ...factored(cut)];
}

/** Entry number `flat` of booleans kept as slices. Axes of length 1 do not move a row-major place. */
export function isMarked({ slice, different, which }, flat) {
  const at = Math.floor(flat / slice);
  return different[which[at] * slice + flat - at * slice] === 1;
}
