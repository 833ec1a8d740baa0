/**
 * Size, stride and start on the unbounded plane, where borders do not exist. The twin of isopter/fields/extent.py.
 *
 * Carried along one space axis: a progression {carrier, jump, lo, hi}, where unit i of axis `carrier` reads
 * [lo[i % P] + floor(i / P) * jump, hi[i % P] + ...); "inf" where the whole axis is read; {why} where there is no plane.
 */

import {
  around, broadcast, collapsed, combined, constant, gatherAxis, HIGHEST, inOrder, linkedOnly, LOWEST, reduced, remade, reshaped, unlessMarked,
} from "./lazy.js";
import { NOTHING } from "./maps.js";
import { sizeOf } from "./sets.js";

const isSteps = (value) => value !== "inf" && value.why === undefined;
const periodOf = (value) => value.lo.shape[value.carrier];

/**
 * The extent of every op along every space axis, as the JSON of the report has it; null for ops that do not depend on the input.
 * @param {import("./net.js").Net} net @returns {Array<Array<object|string>|null>}
 */
export function extents(net) {
  const found = new Array(net.ops.length).fill(null);
  const ndim = net.shape.length;
  found[net.origin] = net.axes.map((axis) => ({ carrier: axis, jump: 1, lo: constant(ndim, 0), hi: constant(ndim, 1) }));
  net.ops.forEach((op, target) => {
    for (const [source, place, local] of op.edges) {
      if (!local) continue;
      const edge = { net, source, target, relation: net.relations[place] };
      const read = place < 0 ? found[source] : found[source].map((value) => through(value, edge));
      found[target] = found[target] === null ? read : found[target].map((value, axis) => joined(value, read[axis], edge));
    }
  });
  return found.map((values) => values && values.map(asJson));
}

function asJson(value) {
  if (!isSteps(value)) return value === "inf" ? "inf" : value.why;
  const lo = byPhase(value.lo, value.carrier, LOWEST);
  const hi = byPhase(value.hi, value.carrier, HIGHEST);
  return {
    c: value.carrier,
    j: value.jump,
    lo: lo.map((low, phase) => (low < hi[phase] ? low : null)),
    hi: hi.map((high, phase) => (lo[phase] < high ? high : null)),
  };
}

function byPhase(values, carrier, pick) {
  let left = values;
  for (let axis = 0; axis < values.shape.length; axis++) if (axis !== carrier) left = reduced(left, axis, pick);
  return [...left.data];
}

function through(value, edge) {
  const { net, source, target, relation } = edge;
  if (value !== "inf" && value.why !== undefined && readsAllSpace(edge)) return "inf";
  if (!isSteps(value)) return value;
  const shapeIn = net.ops[source].shape;
  const { name, shape: shapeOut } = net.ops[target];
  const link = relation.links.find(({ ins }) => ins.includes(value.carrier));
  if (!link) return shapeIn[value.carrier] > 1 || relation.summary ? "inf" : { why: `${name} broadcasts space` };
  const { map } = link;
  if (map.kind === "whole") return "inf";
  if (map.kind === "table" || map.kind === "masked") return { why: `${name} gathers positions of space` };
  if (map.kind !== "regroup" && map.plane === null) return { why: `${name} is not the same everywhere along space` };
  const carrier = map.kind === "regroup" ? (link.outs.find((axis) => shapeOut[axis] > 1) ?? link.outs[0]) : link.outs[0];
  if (relation.unread && varies(relation.unread, carrier, shapeOut.length)) {
    return { why: `${name} treats some positions of space differently` };
  }
  const lo = gathered(value.lo, value, edge, LOWEST);
  const hi = gathered(value.hi, value, edge, HIGHEST);
  if (lo === null || hi === null) return { why: `${name} folds space into another axis` };
  const kept = (side, pick) => (relation.unread ? unlessMarked(side, relation.unread, pick) : side);
  return { carrier, jump: hi.jump, lo: kept(lo.values, LOWEST), hi: kept(hi.values, HIGHEST) };
}

function readsAllSpace({ net, source, relation }) {
  const { units } = net.ops[source];
  const links = units.map((axis) => relation.links.find(({ ins }) => ins.includes(axis)));
  return units.length > 0 && links.every((link) => !link || link.map.kind === "whole");
}

function varies(unread, axis, ndim) {
  const at = axis - (ndim - unread.shape.length);
  return at >= 0 && unread.shape[at] > 1;
}

/** `gather`, with the carrier axis taken as a progression instead of a finite axis. */
function gathered(side, { carrier, jump: jumpBefore }, { net, source, target, relation }, pick) {
  const shapeIn = net.ops[source].shape;
  const shapeOut = net.ops[target].shape;
  let values = linkedOnly(relation, side, side.shape, pick);
  let jump = jumpBefore;
  let at = 0;
  for (const { outs, ins, map } of relation.links) {
    const sizesIn = ins.map((axis) => shapeIn[axis]);
    const sizesOut = outs.map((axis) => shapeOut[axis]);
    if (map.kind === "regroup" && ins.includes(carrier)) {
      const found = regroupedCarrier(values, at, ins.indexOf(carrier), sizesIn, sizesOut, jump);
      if (found === null) return null;
      ({ values, jump } = found);
    } else if (map.kind === "regroup") {
      values = regroupedStatic(values, at, sizesIn, sizesOut);
    } else if (map.grouped) {
      const { before, group, after } = around(values, at, ins.length);
      if (group.some((n) => n > 1)) return null;
      values = reshaped(values, [...before, ...sizesOut.map(() => 1), ...after]);
    } else if (ins.includes(carrier)) {
      if (map.kind !== "same") ({ values, jump } = stepped(values, at, map.plane, jump, pick));
    } else if (!(net.ops[source].units.includes(ins[0]) && values.shape[at] === 1 && map.plane !== null)) {
      values = gatherAxis(map, values, at, sizesOut[0], sizesIn[0], pick);
    }
    at += outs.length;
  }
  return { values: inOrder(relation, values, shapeOut.length), jump };
}

/** The carrier through a periodic map. */
function stepped(values, axis, plane, jump, pick) {
  const period = values.shape[axis];
  const turns = period / gcd(period, Math.abs(plane.jump));
  const count = plane.rows.length;
  const read = remade(values, axis, turns * count, (value, i) => {
    let best = pick.none;
    for (const tap of plane.rows[i % count]) {
      if (tap === NOTHING) continue;
      const place = tap + Math.floor(i / count) * plane.jump;
      const whole = Math.floor(place / period);
      best = pick.of(best, value(place - whole * period) + whole * jump);
    }
    return best;
  });
  return { values: read, jump: Math.floor((turns * plane.jump) / period) * jump };
}

/** Merge the group into one axis, then split it. */
function regroupedCarrier(values, at, where, sizesIn, sizesOut, jump) {
  if (sizesIn.slice(0, where).some((n) => n > 1) || [...sizesIn, ...sizesOut].includes(0)) return null;
  const { before, group, after } = around(values, at, sizesIn.length);
  const period = group[where];
  const inner = sizesIn.slice(where + 1);
  const full = broadcast(values, [...before, ...new Array(where).fill(1), period, ...inner, ...after]);
  const mergedPeriod = period * sizeOf(inner);
  const merged = reshaped(full, [...before, mergedPeriod, ...after]);
  const lead = Math.max(sizesOut.findIndex((n) => n > 1), 0);
  const split = sizeOf(sizesOut.slice(lead + 1));
  const turns = mergedPeriod / gcd(mergedPeriod, split);
  const spread = remade(merged, at, turns * split, (value, i) => value(i % mergedPeriod) + Math.floor(i / mergedPeriod) * jump);
  const shape = [...before, ...new Array(lead).fill(1), turns, ...sizesOut.slice(lead + 1), ...after];
  const axes = sizesOut.map((_, k) => at + k).slice(lead + 1);
  return { values: collapsed(reshaped(spread, shape), axes), jump: Math.floor((turns * split * jump) / mergedPeriod) };
}

function regroupedStatic(values, at, sizesIn, sizesOut) {
  const { before, group, after } = around(values, at, sizesIn.length);
  if (group.every((n) => n === 1)) return reshaped(values, [...before, ...sizesOut.map(() => 1), ...after]);
  return reshaped(broadcast(values, [...before, ...sizesIn, ...after]), [...before, ...sizesOut, ...after]);
}

/** Both reads of one op: the least common period, phase by phase. */
function joined(a, b, { net, source, target }) {
  if (a.why !== undefined) return a;
  if (b.why !== undefined) return b;
  if (a === "inf" || b === "inf") return "inf";
  if (a.carrier !== b.carrier || a.jump * periodOf(b) !== b.jump * periodOf(a)) {
    const [step, other] = [a, b].map((value) => fraction(value.jump, periodOf(value)));
    return { why: `${net.ops[target].name} joins branches that step ${step} and ${other} pixels (from ${net.ops[source].name})` };
  }
  const period = (periodOf(a) / gcd(periodOf(a), periodOf(b))) * periodOf(b);
  const one = repeated(a, period);
  const other = repeated(b, period);
  const { carrier, jump } = one;
  return { carrier, jump, lo: combined(one.lo, other.lo, Math.min), hi: combined(one.hi, other.hi, Math.max) };
}

function repeated(value, period) {
  const own = periodOf(value);
  if (own === period) return value;
  const side = (values) => remade(values, value.carrier, period, (read, i) => read(i % own) + Math.floor(i / own) * value.jump);
  return { ...value, jump: value.jump * (period / own), lo: side(value.lo), hi: side(value.hi) };
}

/** A fraction as text: "2", "1/2". */
export function fraction(a, b) {
  const common = gcd(Math.abs(a), b) || 1;
  return b === common ? `${a / common}` : `${a / common}/${b / common}`;
}

/** The greatest common divisor. */
export function gcd(a, b) {
  return b === 0 ? a : gcd(b, a % b);
}
