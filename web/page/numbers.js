/** The numbers of one unit. */

import { el, put } from "./dom.js";
import { count, number, percent, pixels, sizes } from "./text.js";
import { look } from "./stage/look.js";
import { time } from "./stage/flow.js";

export function numbers(node, state) {
  node.setAttribute("aria-label", "Numbers of the chosen unit");
  let shown = "";
  state.watch((changed) => {
    if (!["a", "op", "unit", "show"].some((name) => changed.has(name))) return;
    const { op, view, net } = state;
    const { set, region, effective } = look(state.model, view.op, view.unit, view.show.context);
    const field = effective?.field;
    const area = set ? set.shape.reduce((p, n) => p * n, 1) : 0;
    const size = sizeOf(op, region, view.show.context);
    const facts = [
      ["size", size.text, size.title],
      ["region", set ? region.lo.map((lo, k) => `${pixels(lo)}…${pixels(region.hi[k] - 1)}`).join(" × ") : "nothing", "first and last pixel read, per axis"],
      ["pixels read", set ? count(set.count) : "0", "of the image"],
      ["density", set ? percent(set.count / area) : "–", "share of its box in the image that is read"],
      ["stride", sizes(op.stride, true), "input pixels per step"],
      ["padding", size.bounded ? percent(region.paddingShare) : "–", "share of its box outside the image"],
      ["effective 50 / 95 %", field ? `${number(field.side50)} / ${number(field.side95)}` : "–", field ? `sides of squares; ${how(field)}` : "no effective field of this layer in this report"],
      ["95 % of the field", field ? percent(field.side95 / theoryOf(net, view.op, field)) : "–", field ? `the 95 % side by the theoretical size of unit (${field.unit}); ${how(field)}` : ""],
      ["σ", field ? [...new Set(field.sigma.map(number))].join(" × ") : "–", field ? `spread, pixels; size at 4.55 % of the peak (Luo et al. 2016) by the theoretical one: ${number(field.ratio)}` : ""],
    ];
    if (net.image.length === 1 && set) {
      const now = time(net, view.op, view.unit);
      const [lo, hi] = region.unclipped?.[0] ?? [region.lo[0], region.hi[0]];
      facts.splice(4, 1, ["look-back", pixels(now - lo), "samples before its own"], ["look-ahead", pixels(hi - 1 - now), "samples after its own"]);
    }
    const frame = facts.map(([name, , title]) => name + title).join();
    if (frame !== shown) put(node, facts.map(([name, , title]) => el("div", { title }, el("dt", {}, name), el("dd")))); // a hand that drags changes the texts alone
    shown = frame;
    facts.forEach(([, text], k) => (node.children[k].lastChild.textContent = text));
  });
}

/** Size of the unit's own box, which differs between units after upsampling and at windows; of the layer where that is unbounded. */
function sizeOf(op, region, context) {
  if (context && op.context) return { text: "whole image", title: "through summaries it reads all of it", bounded: false };
  if (op.size.some((s) => s === "inf")) return { text: op.size.every((s) => s === "inf") ? "whole image" : sizes(op.size), title: "a whole axis is read", bounded: false };
  const own = (region.unclipped ?? region.lo.map((lo, k) => [lo, region.hi[k]])).map(([lo, hi]) => hi - lo);
  const more = own.some((s, k) => s !== op.size[k]) ? `; up to ${sizes(op.size)} in this layer` : "";
  return { text: sizes(own), title: `${region.unclipped ? "on the plane, padding included" : "at this input size"}${more}`, bounded: region.unclipped !== null };
}

function how(field) {
  return `${field.kind}, ${field.statistic}${field.error === null ? "" : `, error of the map ${percent(field.error)}`}`;
}

/** The theoretical size of the unit that an effective field is of: the geometric mean over the axes; NaN where it is unbounded. */
function theoryOf(net, op, field) {
  const box = net.unclipped(op, field.unit) ?? [];
  const volume = box.reduce((product, [lo, hi]) => product * (hi - lo), 1);
  return box.length && Number.isFinite(volume) ? volume ** (1 / box.length) : NaN;
}
