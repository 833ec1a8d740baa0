/** Levels, units and context of an edited network, and the facts a report has of every op. The twin of isopter/fields/plan.py. */

import { extents, fraction } from "../extents.js";
import { pushOn } from "../pull.js";
import { regions } from "../regions.js";
import { carriesSpace, collapsesSpace, factor, follow } from "./lineage.js";
import { identity } from "./rules.js";

const ORDER = ["exact", "data_dependent", "bound"];
const worse = (a, b) => (ORDER.indexOf(a) >= ORDER.indexOf(b) ? a : b);

/**
 * Mark local edges, unit axes, context and exactness of every op in place. Edges come as [source, relation, _].
 * @param {{origin: number, axes: number[], ops: object[], relations: object[]}} net
 */
export function markPlan({ origin, axes, ops, relations }) {
  const lineage = new Array(ops.length).fill(null);
  const level = new Array(ops.length).fill(0);
  lineage[origin] = ops[origin].shape.map((n, axis) => [factor(n, axes.includes(axis))]);
  ops.forEach((op, target) => {
    let carried = lineage[target];
    const levels = op.edges.map(([source, place]) => {
      const shapeIn = ops[source].shape;
      const relation = place < 0 ? identity(shapeIn.length) : relations[place];
      const up = relation.summary && collapsesSpace(relation, lineage[source], shapeIn, op.shape);
      const after = place < 0 ? lineage[source] : follow(relation, lineage[source], shapeIn, op.shape);
      carried = carried === null ? after : carried.map((axis, k) => merged(axis, after[k]));
      return level[source] + Number(up);
    });
    if (levels.length) {
      level[target] = Math.min(...levels);
      op.edges = op.edges.map(([source, place], k) => [source, place, Number(levels[k] === level[target])]);
      op.context = op.edges.some(([source, , local]) => ops[source].context || !local);
      op.exactness = op.edges.reduce((worst, [source, place]) => {
        const own = place < 0 ? "exact" : (relations[place].exactness ?? "exact");
        return worse(worse(worst, ops[source].exactness ?? "exact"), own);
      }, op.leaked ? "data_dependent" : "exact");
    } else if (target === origin) {
      op.context = false;
      op.exactness = "exact";
    }
    lineage[target] = carried;
    op.units = op.shape.map((_, axis) => axis).filter((axis) => carried !== null && carriesSpace(carried[axis]));
  });
}

const merged = (x, y) => (y.some((f) => f.space) && !x.some((f) => f.space) ? y : x);

/** Work out extent, size, stride, start, basis, whole and plane of every op. @param {import("../net.js").Net} net */
export function markFacts(net) {
  const found = extents(net);
  const local = pushOn(net, null, false);
  const regroups = new Array(net.ops.length).fill(false);
  net.ops.forEach((op, index) => {
    for (const [source, place, isLocal] of op.edges) {
      if (isLocal) regroups[index] ||= regroups[source] || (place >= 0 && mixesSpace(net.relations[place], net.ops[source].units));
    }
    const extent = found[index];
    if (extent === null) return;
    op.extent = extent;
    op.basis = extent.some((value) => typeof value === "string" && value !== "inf") ? "input" : "plane";
    op.whole = Boolean(op.context && local[index] === null);
    op.plane = !regroups[index] && extent.every((value) => typeof value === "object");
    op.stride = extent.map((value) => (typeof value === "string" ? null : strideOf(value)));
    if (op.basis === "plane") {
      op.size = extent.map((value) => (value === "inf" ? "inf" : Math.max(...value.lo.map((low, k) => (low === null ? 0 : value.hi[k] - low)))));
      op.start = extent.map((value) => (value === "inf" ? "-inf" : (value.lo[0] ?? NEVER)));
    } else {
      whenAsked(op, "size", () => sizeInImage(net, index));
      whenAsked(op, "start", () => (op.unitSizes.includes(0) ? net.axes.map(() => 0) : net.region(index, op.units.map(() => 0)).lo));
    }
  });
}

/** Where a unit that reads nothing starts: the identity of the lowest. */
const NEVER = 2 ** 60;

const mixesSpace = (relation, units) => relation.links.some(({ map, ins }) => map.grouped && ins.some((axis) => units.includes(axis)));

function strideOf({ j, lo }) {
  const text = fraction(j, lo.length);
  return text.includes("/") ? text : Number(text);
}

/** A fact that takes a walk of its own, worked out when somebody asks. */
function whenAsked(op, key, make) {
  Object.defineProperty(op, key, {
    configurable: true,
    enumerable: true,
    get() {
      const value = make();
      Object.defineProperty(op, key, { value, enumerable: true });
      return value;
    },
  });
}

function sizeInImage(net, op) {
  const context = net.followsContext(op, false);
  return regions(net, op, context, net.boxes(context)).map(({ lo, hi }) => largest(lo, hi));
}

function largest(lo, hi) {
  let most = 0;
  const shape = lo.shape.map((n, k) => Math.max(n, hi.shape[k]));
  const count = shape.reduce((a, b) => a * b, 1);
  for (let at = 0; at < count; at++) most = Math.max(most, read(hi, shape, at) - read(lo, shape, at));
  return most;
}

/** Entry number `at` of an array broadcast to `shape`. */
function read(values, shape, at) {
  let [left, place, step] = [at, 0, 1];
  for (let k = shape.length - 1; k >= 0; k--) {
    const index = left % shape[k];
    left = (left - index) / shape[k];
    if (values.shape[k] > 1) place += index * step;
    step *= values.shape[k];
  }
  return values.data[place];
}

