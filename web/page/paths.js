/** How many routes through the network have which size: why the effective field is so much smaller. */

import { chart, steps, WIDTH } from "./chart.js";
import { el, put } from "./dom.js";
import { frame } from "./panel.js";
import { count, number } from "./text.js";

const MOST_BARS = 90;

export function paths(node, state) {
  let shown = null;
  let found = null;
  const { remark, body } = frame(node, state, "Paths by field size", { svg: () => shown?.root, csv: () => [["size", "paths"], ...(found?.sizes.map((s, k) => [s, String(found.counts[k])]) ?? [])] });
  state.watch((changed) => {
    if (!["a", "op"].some((name) => changed.has(name))) return;
    found = null;
    shown = null;
    remark.textContent = "";
    if (state.op.basis === "input") return put(body, el("p", { class: "empty" }, "Sizes of paths are of the plane, and there is none here: the field depends on the size of the input."));
    found = state.net.paths(state.view.op, 0);
    const { sizes, counts, total, unbounded, mean } = found;
    remark.textContent = `${count(total)} path${total === 1n ? "" : "s"}, ${count(sizes.length)} size${sizes.length === 1 ? "" : "s"}${state.net.image.length > 1 ? ", first axis" : ""}`;
    if (!sizes.length) return put(body, el("p", { class: "empty" }, "Every path reads the whole axis."));
    const field = state.model.fields.get(state.view.op);
    const top = Math.max(sizes.at(-1), field?.side95 ?? 0);
    const bars = binned(sizes, counts);
    const most = bars.reduce((m, b) => (b.count > m ? b.count : m), 0n);
    shown = chart({
      label: `${count(total)} paths to ${state.op.name}, of sizes ${sizes[0]} to ${sizes.at(-1)} pixels, mean ${number(mean)}.`,
      height: 160, left: 10, x: (v) => v / (top * 1.04), y: (v) => v / 1.28,
    });
    const wide = Math.max(2, Math.min(9, (0.7 * (WIDTH - 20)) / (bars.length + 1)));
    for (const bar of bars) {
      const share = Number((bar.count * 1_000_000n) / most) / 1e6;
      shown.add("rect", { class: "count", x: shown.X(bar.size) - wide / 2, width: wide, y: shown.Y(Math.max(share, 0.008)), height: shown.Y(0) - shown.Y(Math.max(share, 0.008)) });
    }
    shown.ticksX(steps(top));
    shown.lineX(mean, "mean", `mean ${number(mean)}`);
    if (field?.side95) shown.lineX(field.side95, "effective", `effective 95 % ${number(field.side95)}`, 1);
    put(body, shown.root, unbounded > 0n && el("p", { class: "note" }, `${count(unbounded)} more read the whole axis.`));
  });
}

/** One bar a size, or a bar for several where there are too many to tell apart. */
function binned(sizes, counts) {
  if (sizes.length <= MOST_BARS) return sizes.map((size, k) => ({ size, count: counts[k] }));
  const width = (sizes.at(-1) - sizes[0] + 1) / MOST_BARS;
  const bins = Array.from({ length: MOST_BARS }, (_, k) => ({ size: sizes[0] + (k + 0.5) * width, count: 0n }));
  sizes.forEach((size, k) => (bins[Math.min(MOST_BARS - 1, Math.floor((size - sizes[0]) / width))].count += counts[k]));
  return bins;
}
