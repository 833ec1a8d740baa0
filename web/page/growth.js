/** How the field grows with depth; A against B, beside what of it is effective, and what the sliders would make of it. */

import { chart, powers } from "./chart.js";
import { put } from "./dom.js";
import { frame } from "./panel.js";
import { largest, number, pixels } from "./text.js";

export function growth(node, state) {
  let shown = null;
  const { remark, body } = frame(node, state, "Growth", { svg: () => shown.root, csv: () => csv(state) });
  remark.textContent = "click a point";
  state.watch((changed) => {
    if (!["a", "b", "op", "ghost"].some((name) => changed.has(name))) return;
    const { model, other, ghost } = state;
    const curves = [curve(model), other && curve(other), ghost?.net && curve(model, ghost.net)].filter(Boolean);
    const image = Math.max(...model.net.image);
    const top = Math.max(image, ...curves.flatMap(({ points }) => points.map((p) => p.size).filter(Number.isFinite)));
    const x = (depth) => depth / Math.max(1, ...curves.map((c) => c.depth));
    const log = Math.log2(top * 1.5 + 1);
    shown = chart({ label: described(model, curves[0]), x, y: (size) => Math.min(1, Math.log2(Math.max(size, 1)) / log) });
    shown.ticksY(powers(top), number);
    shown.add("line", { class: "image", x1: shown.X(0), x2: shown.X(Math.max(1, ...curves.map((c) => c.depth))), y1: shown.Y(image), y2: shown.Y(image) });
    shown.add("text", { class: "image", x: shown.X(0) + 4, y: shown.Y(image) - 4 }, `input ${image}`);
    if (other) draw(curves[1], "of-b", state.view.b);
    draw(curves[0], "of-a", state.view.a);
    if (ghost?.net) line(curves.at(-1), "ghost");
    if (curves.some((c) => c.points.some((p) => !Number.isFinite(p.size)))) shown.add("text", { x: shown.X(0) - 5, y: 12, "text-anchor": "end" }, "∞");
    shown.caption(`depth → · teal: effective 95 %${ghost?.net ? " · dashed: what if" : ""}`);
    put(body, shown.root);
  });

  function line({ points }, className) {
    const main = points.filter((p) => p.main && Number.isFinite(p.size));
    if (main.length) shown.add("path", { class: `curve ${className}`, d: `M${main.map((p) => `${shown.X(p.depth)} ${shown.Y(p.size)}`).join("L")}` });
  }

  function draw(found, className, which) {
    line(found, className);
    for (const p of found.points) {
      const chosen = which === state.view.a && p.op === state.view.op;
      const whole = !Number.isFinite(p.size);
      const onclick = () => state.set({ a: which, op: p.op });
      shown.add("circle", {
        class: `${className}${p.main ? "" : " aside"}${chosen ? " chosen" : ""}${whole ? " whole" : ""}`,
        cx: shown.X(p.depth), cy: whole ? 8 : shown.Y(p.size), r: chosen ? 5 : 2.6, onclick,
      }, title(`${p.label}: ${pixels(p.size)} px`));
      if (p.effective) shown.add("circle", { class: "effective", cx: shown.X(p.depth), cy: shown.Y(Math.max(1, p.effective)), r: 2.4, onclick }, title(`${p.label}: effective 95 % ${number(p.effective)} px`));
    }
  }
}

function title(text) {
  const node = document.createElementNS("http://www.w3.org/2000/svg", "title");
  node.textContent = text;
  return node;
}

/** Rows by depth (the longest way to them), those on the widest way to the last one marked. */
function curve(model, net = model.net) {
  const { rows } = model;
  const depth = rows.map(() => 0);
  rows.forEach((row, k) => (depth[k] = 1 + Math.max(-1, ...row.parents.map((p) => depth[p]))));
  const size = (row) => (net === model.net ? model.size(row.op) : largest(net.ops[row.op].size));
  const main = new Set();
  for (let k = rows.length - 1; k >= 0; ) {
    main.add(k);
    const { parents } = rows[k];
    k = parents.length ? parents.reduce((best, p) => (size(rows[p]) > size(rows[best]) || (size(rows[p]) === size(rows[best]) && depth[p] > depth[best]) ? p : best)) : -1;
  }
  const points = rows.map((row, k) => ({ op: row.op, label: row.label, depth: depth[k], size: size(row), main: main.has(k), effective: net === model.net ? model.fields.get(row.op)?.side95 : undefined }));
  return { points, depth: Math.max(0, ...depth) };
}

function described(model, { points }) {
  const last = points.at(-1);
  return `Size of the field by depth for ${model.title}: from ${pixels(points[0]?.size)} to ${pixels(last?.size)} pixels over ${points.length} layers; the input has ${Math.max(...model.net.image)}.`;
}

function csv(state) {
  const models = [state.model, state.other].filter(Boolean);
  return [["model", "layer", "depth", "size", "effective 95 %"], ...models.flatMap((m) => curve(m).points.map((p) => [m.title, p.label, p.depth, p.size, p.effective ?? ""]))];
}
