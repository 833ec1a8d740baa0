/** From the JSON of one model (isopter/report/page/graph.py) to a network to ask. */

import { bits, mapOf } from "./maps.js";
import { Net } from "./net.js";

/** @param {object} data  one model of the report @returns {Net} */
export function load(data) {
  return new Net({
    ...data,
    ops: data.ops.map((op) => ({ ...op })),
    relations: data.relations.map(relationOf),
  });
}

/** A relation from its JSON. */
export function relationOf({ links, summary = 0, unread, exactness = "exact" }) {
  return {
    links: links.map(([outs, ins, map]) => ({ outs, ins, map: mapOf(map) })),
    summary: Boolean(summary),
    unread: unread ? bits(unread) : null,
    exactness,
  };
}
