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
    const facts = [
      ["size", sizes(op.size), op.basis === "plane" ? "on the plane, padding included" : "at this input size"],
      ["region", set ? region.lo.map((lo, k) => `${pixels(lo)}…${pixels(region.hi[k] - 1)}`).join(" × ") : "nothing", "first and last pixel read, per axis"],
      ["pixels read", set ? count(set.count) : "0", "of the image"],
      ["density", set ? percent(set.count / area) : "–", "share of its box in the image that is read"],
      ["stride", sizes(op.stride, true), "input pixels per step"],
      ["padding", percent(region.paddingShare), "share of its box outside the image"],
      ["effective 50 / 95 %", field ? `${number(field.side50)} / ${number(field.side95)}` : "–", field ? `sides of squares; ${field.kind}, ${field.statistic}${field.error === null ? "" : `, error of the map ${percent(field.error)}`}` : "no effective field in this report"],
      ["σ · ratio", field ? `${[...new Set(field.sigma.map(number))].join(" × ")} · ${number(field.ratio)}` : "–", "spread in pixels · size at 4.55 % of the peak (Luo et al. 2016), as a share of the theoretical one"],
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
