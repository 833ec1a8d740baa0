/** Ops whose axes are in another order than (N, C, *space). The twin of isopter/reads/layout.py. */

/** A shape in the order of rules. @param {number[]} shape @param {number[]} layout */
export const ordered = (shape, layout) => layout.map((axis) => shape[axis]);

/** A shape back in the op's own order. */
export const restored = (shape, layout) => shape.map((_, axis) => shape[layout.indexOf(axis)]);

/** A relation of the first input, said of (N, C, *space). */
export const straightRelation = (relation, layout) => renamed(relation, (axis) => layout.indexOf(axis), (axis) => layout.indexOf(axis));

/** A relation said of (N, C, *space), of the op's own axes; of inputs but the first, only the result's. */
export const turnedRelation = (relation, layout, first) => renamed(relation, (axis) => layout[axis], (axis) => (first ? layout[axis] : axis));

function renamed(relation, out, into) {
  const links = relation.links.map(({ outs, ins, map }) => ({ outs: outs.map(out), ins: ins.map(into), map }));
  return { ...relation, links: links.sort((a, b) => a.outs[0] - b.outs[0]) };
}
