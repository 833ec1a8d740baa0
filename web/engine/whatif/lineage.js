/** Which axes of a tensor carry space, through reshapes. The twin of isopter/fields/lineage.py. */

/**
 * @typedef {{size: number, space: boolean, parent: Factor|null, outer: boolean}} Factor
 * @typedef {Factor[]} Axis
 */

/** @returns {Factor} */
export const factor = (size, space, parent = null, outer = false) => ({ size, space, parent, outer });

/** Whether stepping along an axis moves in space. @param {Axis} axis */
export function carriesSpace(axis) {
  const lead = axis.find((f) => f.space || f.size > 1);
  return Boolean(lead?.space) || axis.some((f) => f.space && f.size > 1);
}

/** The axes of the output, for one relation of an op. @returns {Axis[]} */
export function follow(relation, axes, shapeIn, shapeOut) {
  const result = shapeOut.map(() => []);
  for (const link of relation.links) {
    const sizes = link.outs.map((o) => shapeOut[o]);
    followLink(link, axes, shapeIn, sizes).forEach((axis, k) => {
      result[link.outs[k]] = axis;
    });
  }
  return result.map((axis, k) => (axis.length ? axis : shapeOut[k] > 1 ? [factor(shapeOut[k], false)] : []));
}

/** Whether a summary relation reads a space axis down to one position. */
export function collapsesSpace(relation, axes, shapeIn, shapeOut) {
  return shapeIn.some((n, axis) => {
    const link = relation.links.find(({ ins }) => ins.includes(axis));
    const single = Boolean(link) && link.outs.every((o) => shapeOut[o] === 1);
    const gone = !link || (link.map.kind === "whole" && single);
    return (gone || (n > 1 && single)) && carriesSpace(axes[axis]);
  });
}

function followLink({ ins, map }, axes, shapeIn, sizes) {
  const sources = ins.map((i) => axes[i]);
  if (map.kind === "regroup") return split(join(sources.flat()), sizes);
  if (sources.length === sizes.length && sizes.every((n, k) => shapeIn[ins[k]] === n)) return sources;
  const space = sources.some(carriesSpace);
  return sizes.map((n) => [factor(n, space)]);
}

/** Neighbours that were split from one factor become that factor again. */
function join(factors) {
  const joined = [];
  for (let next of factors) {
    for (let last = joined.at(-1); last && last.parent !== null && last.parent === next.parent && last.outer && !next.outer; last = joined.at(-1)) {
      joined.pop();
      next = next.parent;
    }
    joined.push(next);
  }
  return joined;
}

/** Deal factors out to axes of these sizes, splitting a factor where a boundary falls inside it. */
function split(factors, sizes) {
  const space = factors.some((f) => f.space);
  if (sizes.includes(0)) return sizes.map((n) => [factor(n, n === 0 && space)]);
  const left = [...factors].reverse();
  const result = [];
  for (const size of sizes) {
    const axis = [];
    let room = size;
    while (left.length && (room > 1 || left.at(-1).size === 1)) {
      const next = left.pop();
      if (room % next.size === 0 && next.size <= room) {
        axis.push(next);
        room /= next.size;
        if (size === 1) break;
      } else if (next.size % room === 0) {
        axis.push(factor(room, next.space, next, true));
        left.push(factor(next.size / room, false, next, false));
        room = 1;
        break;
      } else {
        return sizes.map((n) => [factor(n, space)]);
      }
    }
    result.push(axis);
  }
  return result;
}
