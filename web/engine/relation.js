/**
 * Carrying a set of positions through a relation: back to the input positions it reads (pull), or on to the output positions that
 * read it (push). The twin of isopter/reads/scatter.py.
 */

import { coversInput, coversOutput, listing, NOTHING, readersOf, readsOf, runsOf, withoutConstantBatch } from "./maps.js";
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
  if (map.kind === "masked" && here.length > 1) return throughMasks(map, blocks, here, there, shapeHere, shapeThere, back);
  return throughCells(map, blocks, here, there, shapeHere, shapeThere, back);
}

/** Batch axes along which the masks are alike only follow. */
function throughMasks(map, blocks, here, there, shapeHere, shapeThere, back) {
  const batch = here.slice(0, -1);
  const slim = withoutConstantBatch(map, batch.map((axis) => shapeHere[axis]));
  let left = blocks;
  batch.forEach((axis, k) => {
    if (!slim.kept[k]) left = left.map((block) => renamed(block, axis, there[k]));
  });
  const kept = (axes) => axes.filter((_, k) => k === batch.length || slim.kept[k]);
  return throughCells(slim.map, left, kept(here), kept(there), shapeHere, shapeThere, back);
}

function throughCells(map, blocks, here, there, shapeHere, shapeThere, back) {
  const touching = blocks.filter((block) => block.axes.some((axis) => here.includes(axis)));
  if (touching.length === 0 && map.kind === "regroup") return blocks;
  const whole = here.filter((axis) => !blockWith(touching, axis)).map((axis) => run(axis, 0, shapeHere[axis]));
  const joined = product([...touching, ...whole]);
  const rest = joined.axes.filter((axis) => !here.includes(axis));
  const cut = trimmed(placed(map, ordered(joined, [...here, ...rest]), here, there, shapeHere, shapeThere, back));
  return cut && [...blocks.filter((block) => !touching.includes(block)), ...factored(cut)];
}

/** The block with its first axes `here` replaced by the axes `there`, cell by cell; null if no cell leads anywhere. */
function placed(map, block, here, there, shapeHere, shapeThere, back) {
  const sizesHere = here.map((axis) => shapeHere[axis]);
  const sizesThere = there.map((axis) => shapeThere[axis]);
  const nThere = sizeOf(sizesThere);
  const reads = readsOfCells(map, heldCells(block, here.length, sizesHere), back ? sizeOf(sizesHere) : nThere, nThere, back);
  const box = boxOfCells(reads.to, sizesThere);
  if (box === null) return null;
  const inner = sizeOf(block.shape.slice(here.length));
  const mask = new Uint8Array(sizeOf(box.shape) * inner);
  for (let p = 0; p < reads.to.length; p++) {
    const target = box.placeOf(reads.to[p]) * inner;
    const source = reads.from[p] * inner;
    if (inner === 1) mask[target] = 1;
    else for (let b = 0; b < inner; b++) mask[target + b] |= block.mask[source + b];
  }
  return {
    axes: [...there.map((axis) => axis + THERE), ...block.axes.slice(here.length)],
    shape: [...box.shape, ...block.shape.slice(here.length)],
    origin: [...box.lo, ...block.origin.slice(here.length)],
    mask,
  };
}

/** The smallest box around row-major places in a tensor of these sizes, and how to find a place in it; null around none. */
function boxOfCells(places, sizes) {
  if (places.length === 0) return null;
  const steps = stridesOf(sizes);
  const rank = sizes.length;
  const lo = new Array(rank).fill(Infinity);
  const hi = new Array(rank).fill(-Infinity);
  for (let p = 0; p < places.length; p++) {
    let left = places[p];
    for (let k = 0; k < rank; k++) {
      const at = Math.floor(left / steps[k]);
      left -= at * steps[k];
      if (at < lo[k]) lo[k] = at;
      if (at > hi[k]) hi[k] = at;
    }
  }
  const shape = lo.map((low, k) => hi[k] - low + 1);
  const placeOf = (flat) => {
    let left = flat;
    let place = 0;
    for (let k = 0; k < rank; k++) {
      const at = Math.floor(left / steps[k]);
      left -= at * steps[k];
      place = place * shape[k] + at - lo[k];
    }
    return place;
  };
  return { lo, shape, placeOf };
}

/** The cells of the first `k` axes that hold anything: their row in the block, and their row-major place in a tensor of these sizes. */
function heldCells(block, k, sizes) {
  const shape = block.shape.slice(0, k);
  const count = sizeOf(shape);
  const inner = block.mask.length / count;
  const steps = stridesOf(sizes);
  const index = new Array(k).fill(0);
  let flat = block.origin.slice(0, k).reduce((sum, o, axis) => sum + o * steps[axis], 0);
  const from = new Int32Array(count);
  const to = new Float64Array(count);
  let length = 0;
  for (let row = 0; row < count; row++) {
    let b = row * inner;
    while (b < (row + 1) * inner && !block.mask[b]) b++;
    if (b < (row + 1) * inner) {
      from[length] = row;
      to[length++] = flat;
    }
    for (let axis = k - 1; axis >= 0; axis--) {
      flat += steps[axis];
      if (++index[axis] < shape[axis]) break;
      flat -= steps[axis] * shape[axis];
      index[axis] = 0;
    }
  }
  return { from: from.subarray(0, length), to: to.subarray(0, length), inner };
}

/** Each cell with each of the positions listed for it (of `nThere` positions); where nothing else hangs on a cell, each position once. */
function readsOfCells(map, cells, nIn, nThere, back) {
  if (map.kind === "regroup") return cells;
  const locate = listing(map, nIn, back);
  const place = { items: null, from: 0, to: 0, shift: 0 };
  const known = cells.inner === 1 ? new Uint8Array(nThere) : null;
  const from = [];
  const to = [];
  for (let c = 0; c < cells.to.length; c++) {
    locate(cells.to[c], place);
    for (let i = place.from; i < place.to; i++) {
      const at = place.items[i] + place.shift;
      if (known !== null) {
        if (known[at]) continue;
        known[at] = 1;
      }
      from.push(cells.from[c]);
      to.push(at);
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
  const steps = stridesOf(varying.map((axis) => unread.shape[axis - lead]));
  const places = varying.map((axis, k) => {
    const last = unread.shape[axis - lead] - 1;
    return Int32Array.from({ length: block.shape[k] }, (_, i) => Math.min(Math.max(block.origin[k] + i, 0), last) * steps[k]);
  });
  const mask = block.mask.slice();
  const inner = sizeOf(block.shape.slice(varying.length));
  erase(mask, unread, places, inner);
  const cut = trim({ ...block, mask });
  return cut && [...blocks.filter((other) => !touching.includes(other)), ...factored(cut)];
}

/** Clear the rows of a mask, `inner` cells each, that are marked; `places` has per axis what each index adds to a mark's place. */
function erase(mask, unread, places, inner) {
  const last = places.length - 1;
  const index = new Array(places.length).fill(0);
  for (let at = 0; at < mask.length; ) {
    let base = 0;
    for (let k = 0; k < last; k++) base += places[k][index[k]];
    for (let i = 0; i < places[last].length; i++, at += inner) {
      if (isMarked(unread, base + places[last][i])) for (let k = at; k < at + inner; k++) mask[k] = 0;
    }
    for (let k = last - 1; k >= 0 && ++index[k] === places[k].length; k--) index[k] = 0;
  }
}

/** Entry number `flat` of booleans kept as slices. Axes of length 1 do not move a row-major place. */
function isMarked({ slice, different, which }, flat) {
  const at = Math.floor(flat / slice);
  return different[which[at] * slice + flat - at * slice] === 1;
}
