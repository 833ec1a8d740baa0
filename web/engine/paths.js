/** How many routes through a network give each field size, in exact integers. The twin of isopter/fields/paths.py. */

import { NOTHING } from "./maps.js";
import { ancestors } from "./regions.js";

/**
 * @typedef {{sizes: number[], counts: bigint[], unbounded: bigint, total: bigint, mean: number, sd: number}} Paths
 * @param {import("./net.js").Net} net @param {number} op @param {number} axis @param {boolean} context @returns {Paths}
 */
export function paths(net, op, axis, context) {
  const needed = ancestors(net, op, context);
  const scale = needed.reduce((common, i) => lcm(common, BigInt(periodOf(net, i, axis))), 1n);
  const bounded = new Map([[net.origin, new Map([[scale, 1n]])]]);
  const whole = new Map([[net.origin, 0n]]);
  for (const target of needed) {
    if (target === net.origin) continue;
    const sizes = new Map();
    let unbounded = 0n;
    for (const [source, place, local] of net.ops[target].edges) {
      if (!context && !local) continue;
      const growth = place < 0 ? 0n : growthOf(net, source, target, net.relations[place], axis, scale);
      unbounded += whole.get(source);
      for (const [size, count] of bounded.get(source)) {
        if (growth === null) unbounded += count;
        else sizes.set(size + growth, (sizes.get(size + growth) ?? 0n) + count);
      }
    }
    bounded.set(target, sizes);
    whole.set(target, unbounded);
  }
  return described(bounded.get(op), whole.get(op), scale);
}

function periodOf(net, op, axis) {
  const extent = net.ops[op].extent?.[axis];
  return extent && typeof extent === "object" ? extent.lo.length : 1;
}

/** Pixels an edge adds to the size of a path, times `scale`; null if it reads the whole axis. */
function growthOf(net, source, target, relation, axis, scale) {
  const extent = net.ops[source].extent[axis];
  if (typeof extent === "string") return extent !== "inf" && net.ops[target].extent[axis] === "inf" ? null : 0n; // all of a flattened map
  const link = relation.links.find(({ ins }) => ins.includes(extent.c));
  if (!link) return null;
  const { map, outs, ins } = link;
  if (map.grouped) return 0n;
  if (map.plane === null) {
    const nIn = net.ops[source].shape[ins[0]];
    return widthOf(map, nIn) === nIn ? null : 0n;
  }
  let reach = 0;
  for (const row of map.plane.rows) {
    const read = row.filter((tap) => tap !== NOTHING);
    if (read.length) reach = Math.max(reach, Math.max(...read) - Math.min(...read));
  }
  return (BigInt(reach) * BigInt(Math.abs(extent.j)) * scale) / BigInt(extent.lo.length);
}

function widthOf(map, nIn) {
  if (map.kind === "whole") return nIn;
  if (map.kind === "take") return map.rows.shape[1];
  return map.lo.reduce((widest, low, i) => Math.max(widest, map.hi[i] - low), 1);
}

function described(bounded, unbounded, scale) {
  const merged = new Map();
  for (const [size, count] of [...bounded].sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0))) {
    const pixels = Number((size + scale - 1n) / scale);
    merged.set(pixels, (merged.get(pixels) ?? 0n) + count);
  }
  const sizes = [...merged.keys()];
  const counts = [...merged.values()];
  const some = counts.reduce((sum, count) => sum + count, 0n);
  const sum = counts.reduce((total, count, k) => total + count * BigInt(sizes[k]), 0n);
  const squares = counts.reduce((total, count, k) => total + count * (BigInt(sizes[k]) * some - sum) ** 2n, 0n);
  return {
    sizes,
    counts,
    unbounded,
    total: some + unbounded,
    mean: some ? ratio(sum, some) : NaN,
    sd: some ? Math.sqrt(ratio(squares, some ** 3n)) : NaN,
  };
}

/** a / b as the nearest double, for numbers of any length. @param {bigint} a @param {bigint} b */
export function ratio(a, b) {
  if (a === 0n) return 0;
  const shift = BigInt(Math.max(0, 70 - (bitsOf(a) - bitsOf(b))));
  const drop = BigInt(Math.max(0, bitsOf(a) - bitsOf(b) - 70));
  const below = b << drop;
  const quotient = (a << shift) / below;
  const exact = quotient * below === a << shift;
  return Number(exact ? quotient : quotient | 1n) * 2 ** (Number(drop) - Number(shift));
}

const bitsOf = (n) => n.toString(16).length * 4;

function lcm(a, b) {
  let [x, y] = [a, b];
  while (y) [x, y] = [y, x % y];
  return (a / x) * b;
}
