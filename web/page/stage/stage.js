/** The feature map and the input side by side: drag over the one to see what its units read of the other. */

import { el, paint, put } from "../dom.js";
import { frame } from "../panel.js";
import { percent, sizes } from "../text.js";
import { cellOf, drawMap, gridOf, unitAt } from "./featuremap.js";
import { drawFlow, rowsUpTo } from "./flow.js";
import { look } from "./look.js";
import { pictureOf } from "./picture.js";
import { drawMiniature, drawPlane, MINIATURE } from "./plane.js";

const PLANES = { 2: [[0, 1]], 3: [[1, 2], [0, 2], [0, 1]] };
const ARROWS = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };
const NAMES = { 3: ["height × width", "depth × width", "depth × height"] };

/** @returns {Promise<void>} when the report's picture is there */
export function stage(node, state) {
  const map = el("canvas", { class: "map", tabindex: 0, role: "application", "aria-roledescription": "feature map" });
  const inputs = el("div", { class: "inputs" });
  const sliders = el("div", { class: "sliders" });
  const options = el("fieldset", { class: "options" }, el("legend", { class: "hidden" }, "What is drawn"));
  const legend = el("p", { class: "legend" });
  const note = el("p", { class: "note" });
  const said = el("p", { class: "hidden", "aria-live": "polite" });
  const { title, remark, body } = frame(node, state, "", { canvas: () => inputs.querySelector("canvas"), name: () => `${state.op.name}-${state.view.unit.join("-")}`, csv: () => csv(state, current) });
  put(body, el("div", { class: "views" }, el("div", { class: "left" }, map, sliders, el("p", { class: "legend" }, el("i", { class: "key exposed" }), "share of padding 0 → 100 %"), options, note), inputs), legend, said);
  const picture = pictureOf(inputs, state);
  const mini = el("canvas", { class: "mini", role: "img", "aria-label": "Where the view lies in the whole image" });
  let current = null;
  let canvases = [];
  let toPixel = [];
  let model = null;
  let exposure = null;
  let reached = null;

  const choices = { heat: "effective field", set: "exact set", boxes: "boxes", zoom: "zoom to the field", context: "reads through summaries" };
  const boxes = Object.fromEntries(
    Object.entries(choices).map(([name, label]) => {
      const box = el("input", { type: "checkbox", onchange: () => state.toggle(name) });
      options.append(el("label", {}, box, label));
      return [name, box];
    }),
  );
  const floor = el("input", { type: "range", min: 0, max: 0.2, step: 0.002, "aria-label": "Share of its largest value under which the effective field is not drawn", oninput: (e) => state.set({ floor: Number(e.target.value) }) });
  options.append(el("label", { class: "wide" }, "threshold", floor));

  function begin() {
    model = state.model;
    const d = model.net.image.length;
    const planes = PLANES[d] ?? [[0]];
    canvases = planes.map((axes, k) => {
      const canvas = el("canvas", { class: "input", tabindex: 0, role: "img" });
      canvas.addEventListener("click", (event) => ask(event, k, axes));
      canvas.addEventListener("keydown", (event) => walk(event, axes));
      return canvas;
    });
    inputs.classList.toggle("flow", d === 1);
    node.classList.toggle("one", d === 1);
    put(inputs, canvases.map((canvas, k) => (d === 3 ? el("figure", {}, canvas, el("figcaption", {}, NAMES[3][k])) : canvas)), d === 2 && el("div", { class: "under" }, mini, picture.drop));
    options.hidden = d > 3;
  }

  function ask(event, k, axes) {
    const box = canvases[k].getBoundingClientRect();
    const found = toPixel[k]?.(event.clientX - box.left, event.clientY - box.top);
    if (found === undefined) return;
    const here = current.at.slice();
    [found].flat().forEach((p, i) => (here[axes[i]] = p));
    const inside = here.every((p, i) => p >= 0 && p < model.net.image[i]);
    const same = state.view.pixel && here.every((p, i) => p === state.view.pixel[i]);
    state.set({ pixel: inside && !same ? here : null });
  }

  /** Enter asks about the pixel in the middle, or stops asking; arrows move it. */
  function walk(event, axes) {
    const { pixel } = state.view;
    if (event.key === "Enter" || event.key === " ") {
      event.preventDefault();
      state.settle();
      return state.set({ pixel: pixel ? null : current.at });
    }
    const by = ARROWS[event.key];
    if (!by || !pixel) return;
    event.preventDefault();
    const steps = axes.length === 1 ? [by[1]] : by;
    state.set({ pixel: pixel.map((p, i) => (axes.includes(i) ? clamp(p + steps[axes.indexOf(i)] * (event.shiftKey ? 8 : 1), state.net.image[i]) : p)) });
  }

  function point(event) {
    const { op, view } = state;
    const box = map.getBoundingClientRect();
    const grid = gridOf(op, state.net.image);
    const [row, column] = [Math.floor(((event.clientY - box.top) / box.height) * grid.rows), Math.floor(((event.clientX - box.left) / box.width) * grid.columns)];
    const unit = unitAt(grid, op, view.unit, clamp(row, grid.rows), clamp(column, grid.columns));
    if (unit && unit.join() !== view.unit.join()) state.set({ unit });
  }
  map.addEventListener("pointerdown", (event) => (map.setPointerCapture(event.pointerId), point(event)));
  map.addEventListener("pointermove", (event) => event.buttons & 1 && point(event));
  map.addEventListener("keydown", (event) => {
    const by = ARROWS[event.key];
    if (!by) return;
    event.preventDefault();
    const grid = gridOf(state.op, state.net.image);
    const far = event.shiftKey ? 5 : 1;
    const [row, column] = cellOf(grid, state.view.unit);
    const unit = unitAt(grid, state.op, state.view.unit, clamp(row + by[0] * far, grid.rows), clamp(column + by[1] * far, grid.columns));
    if (unit) state.set({ unit });
  });

  function slide(grid) {
    put(
      sliders,
      grid.lead.map((n, k) =>
        el("label", { class: "wide" }, k === 0 && n > 1 ? "slice" : `axis ${k}`, el("input", { type: "range", min: 0, max: n - 1, value: state.view.unit[k], oninput: (e) => state.set({ unit: state.view.unit.map((u, i) => (i === k ? Number(e.target.value) : u)) }) })),
      ),
    );
  }

  function draw(changed) {
    if (changed.has("a") || !model) begin();
    const { op, view, net } = state;
    const grid = gridOf(op, net.image);
    if (changed.has("op") || changed.has("a")) {
      exposure = net.exposure(view.op);
      slide(grid);
    }
    if (changed.has("pixel") || changed.has("a")) reached = view.pixel ? net.reach(view.pixel) : null;
    if (changed.has("b") && changed.size === 1) return;

    current = { ...look(model, view.op, view.unit, view.show.context) };
    current.at = net.image.map((n, k) => clamp(view.pixel ? view.pixel[k] : Math.floor((current.box[k][0] + current.box[k][1] - 1) / 2), n));
    title.textContent = op.name;
    remark.textContent = `${op.kind}${windowOf(op)} · ${sizes(op.shape)} ${op.unitSizes.length ? ` · unit ${place(view.unit)}` : " · its only unit"}`;
    for (const [name, box] of Object.entries(boxes)) box.checked = view.show[name];
    boxes.context.parentElement.hidden = !op.context;
    floor.value = String(view.floor);
    floor.parentElement.hidden = boxes.heat.parentElement.hidden = !current.effective;

    drawLeft(op, view, grid);
    drawRight(view, net);
    say(op, view, net);
  }

  function drawLeft(op, view, grid) {
    const width = map.parentElement.clientWidth || 240;
    const strip = grid.rows === 1 && grid.columns > 1;
    const height = strip ? 34 : Math.min(width * 1.25, Math.max(width * 0.3, (width * grid.rows) / grid.columns));
    paint(map, width, height, (c, w, h) => drawMap(c, w, h, { op, unit: view.unit, grid, exposure, reached: reached?.[view.op] }));
    map.setAttribute("aria-label", `Feature map of ${op.name}, ${sizes(op.unitSizes)} units, unit ${view.unit.join(", ")} chosen. Arrow keys choose another.`);
  }

  function drawRight(view, net) {
    const d = net.image.length;
    canvases.forEach((canvas, k) => {
      const width = canvas.parentElement.clientWidth || 400;
      if (d === 1) {
        const rows = rowsUpTo(model, view.op);
        const trace = net.trace(view.op, view.unit, { context: view.show.context });
        paint(canvas, width, Math.max(150, 40 + rows.length * 26), (c, w, h) => (toPixel[k] = drawFlow(c, w, h, { model, look: current, rows, trace, unit: view.unit, op: view.op, show: view.show, floor: view.floor, pixel: view.pixel })));
      } else if (d === 2 || d === 3) {
        const axes = PLANES[d][k];
        const height = d === 2 ? Math.min(width * 0.95, Math.max(width * 0.4, view.show.zoom ? width * 0.8 : (width * net.image[0]) / net.image[1])) : width;
        paint(canvas, width, height, (c, w, h) => (toPixel[k] = drawPlane(c, w, h, { look: current, axes, at: current.at, image: net.image, picture: d === 2 ? picture.now : null, show: view.show, floor: view.floor, pixel: view.pixel })));
      }
      if (d === 2) {
        mini.hidden = !view.show.zoom;
        if (view.show.zoom) paint(mini, MINIATURE, MINIATURE, (c, w, h) => drawMiniature(c, w, h, { image: net.image, picture: picture.now, box: current.box }));
      }
      canvas.setAttribute("aria-label", `What unit ${place(view.unit)} reads of the input: ${spoken(current)}`);
    });
  }

  function say(op, view, net) {
    put(
      legend,
      el("i", { class: "key theoretical" }), "theoretical field",
      current.square && [el("i", { class: "key effective" }), "95 % of the effective field"],
      net.image.length > 1 ? [el("i", { class: "key padding" }), "padding"] : [el("i", { class: "key back" }), "look-back", el("i", { class: "key ahead" }), "look-ahead"],
    );
    const seen = reached?.[view.op];
    const notes = [
      !current.set && "This unit reads nothing of the input.",
      current.effective && `The effective field is ${current.effective.field.kind}${current.effective.approximate ? `, of unit ${place(current.effective.field.unit)}, moved here (≈)` : ""}.`,
      op.exactness !== "exact" && "Bounded: the unit reads at most this.",
      op.context && !view.show.context && "It also sees the image through a summary, which is left out here.",
      view.pixel && (seen ? `Pixel (${view.pixel.join(", ")}) reaches ${seen.mask.reduce((sum, v) => sum + v, 0)} units of this layer.` : `Pixel (${view.pixel.join(", ")}) reaches no unit of this layer.`),
    ];
    note.textContent = notes.filter(Boolean).join(" ");
    said.textContent = `${op.name}, unit ${view.unit.join(", ")}: ${spoken(current)}`;
  }

  state.watch(draw);
  return picture.loaded;
}

function spoken({ set, region }) {
  if (!set) return "nothing";
  const box = region.lo.map((lo, k) => `${lo} to ${region.hi[k] - 1}`).join(" by ");
  return `${set.count} pixels, ${box}; ${percent(region.paddingShare)} of its field is padding`;
}

function windowOf({ window: w }) {
  if (!w) return "";
  const short = (values) => sizes(values, true);
  const plain = (values) => values.every((v) => v === 1);
  return ` · k${short(w.kernel)} s${short(w.stride)} p${short(w.pad)}${plain(w.dilation) ? "" : ` d${short(w.dilation)}`}`;
}

/** An index as it is written, never broken over two lines. */
function place(unit) {
  return `(${unit.join(",\u00a0")})`;
}

function clamp(index, n) {
  return Math.max(0, Math.min(n - 1, index));
}

/** The pixels read, as runs along the last axis. */
function csv({ net, view, op }, { set }) {
  const d = net.image.length;
  const rows = [[...Array.from({ length: d - 1 }, (_, k) => `pixel ${k}`), "from", "to (not read)"]];
  if (!set) return rows;
  const width = set.shape[d - 1];
  for (let start = 0; start < set.mask.length; start += width) {
    const lead = [];
    for (let k = d - 2, rest = start / width; k >= 0; rest = Math.floor(rest / set.shape[k]), k--) lead[k] = set.origin[k] + (rest % set.shape[k]);
    for (let x = 0; x < width; x++) {
      if (!set.mask[start + x]) continue;
      const from = x;
      while (x < width && set.mask[start + x]) x++;
      rows.push([...lead, set.origin[d - 1] + from, set.origin[d - 1] + x]);
    }
  }
  return rows;
}
