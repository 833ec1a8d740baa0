/** Sizes of objects in the user's annotations, against what a layer sees of them. */

import { chart, powers } from "./chart.js";
import { el, onDrop, put } from "./dom.js";
import { frame } from "./panel.js";
import { count, number, percent, value } from "./text.js";

const PER_OCTAVE = 3;
const ASK = ", chosen or dropped here, are read in this page and sent nowhere.";

export function coverage(node, state) {
  let shown = null;
  let objects = state.report.objects;
  let latest = null;
  const { remark, body } = frame(node, state, "Objects", { svg: () => shown?.root, csv: () => [["larger side of the box, pixels (rounded up)", "objects"], ...(objects?.sides ?? [])] });
  const file = el("input", { type: "file", accept: "application/json,.json", class: "hidden", tabindex: -1, "aria-hidden": "true", onchange: () => file.files[0] && take(file.files[0]) });
  const said = el("span", { role: "status" }, ASK);
  const ask = el("p", { class: "drop" }, el("button", { type: "button", class: "quiet", onclick: () => file.click() }, "COCO annotations"), said, file);

  /** Of several files the one given last counts, whichever is read first. */
  async function take(given) {
    latest = given;
    try {
      const text = await given.text();
      if (given !== latest) return;
      objects = parse(JSON.parse(text), state.net.image);
      said.textContent = ASK;
      draw();
    } catch (error) {
      if (given === latest) said.textContent = ` That file holds no COCO annotations (${error.message}).`;
    }
  }

  onDrop(node, take);

  function draw() {
    if (!objects) {
      remark.textContent = "";
      return put(body, el("p", { class: "empty" }, "How many of your objects fit into a field? Give annotations to see."), ask);
    }
    const { model, view } = state;
    const found = bins(objects.sides);
    const total = objects.sides.reduce((sum, [, n]) => sum + n, 0);
    const size = Math.min(...model.net.ops[view.op].size.map(value));
    const field = model.fields.get(view.op);
    const most = Math.max(...found.map((b) => b.count));
    const [low, high] = [Math.log2(Math.max(1, found[0].size)) - 0.5, Math.log2(Math.max(found.at(-1).size, Number.isFinite(size) ? size : 1, 2)) + 0.5];
    const x = (v) => (Math.log2(Math.max(v, 1)) - low) / (high - low);
    remark.textContent = `larger side of the box, pixels${objects.scaled === undefined ? "" : objects.scaled ? ", scaled to the input" : ", as in the file"} · ${count(total)} objects`;
    const covers = (side) => objects.sides.reduce((sum, [s, n]) => sum + (s <= side ? n : 0), 0) / total;
    shown = chart({ label: `${percent(covers(size))} of the objects fit into the field of ${state.op.name}.`, height: 160, left: 10, x, y: (v) => v / (most * 1.25) });
    for (const b of found) {
      const [from, to] = [b.size * 2 ** (-0.5 / PER_OCTAVE), b.size * 2 ** (0.5 / PER_OCTAVE)];
      shown.add("rect", { class: "objects", x: shown.X(from) + 0.5, width: Math.max(1, shown.X(to) - shown.X(from) - 1), y: shown.Y(b.count), height: shown.Y(0) - shown.Y(b.count) });
    }
    shown.ticksX(powers(found.at(-1).size, 8).filter((p) => x(p) >= 0));
    if (Number.isFinite(size)) shown.lineX(size, "theoretical", `field ${number(size)} covers ${percent(covers(size))}`);
    if (field?.side95) shown.lineX(field.side95, "effective", `effective ${number(field.side95)} covers ${percent(covers(field.side95))}`, 1);
    put(body, shown.root, !Number.isFinite(size) && el("p", { class: "note" }, "The layer sees the whole image."), model.size(view.op) !== size && el("p", { class: "note" }, "The field is not square: boxes are held against its shorter side."), ask);
  }

  state.watch((changed) => (changed.has("a") || changed.has("op")) && draw());
}

/**
 * How many boxes have which larger side, in pixels rounded up, ascending; scaled to the input where every image's size is known.
 * @param {object} data COCO annotations @param {number[]} [image] height and width of the input
 * @returns {{sides: [number, number][], scaled: boolean}}
 */
export function parse(data, image = []) {
  if (!Array.isArray(data?.annotations)) throw new Error("it has no list of annotations");
  const boxes = data.annotations.filter((a) => a && typeof a === "object" && !a.iscrowd && Array.isArray(a.bbox) && a.bbox.length === 4);
  const images = new Map((Array.isArray(data.images) ? data.images : []).filter((i) => i?.height > 0 && i?.width > 0).map((i) => [i.id, i]));
  const scaled = image.length === 2 && boxes.every((a) => images.has(a.image_id));
  const sides = new Map();
  for (const { image_id: id, bbox } of boxes) {
    const [, , width, height] = bbox;
    const [down, across] = scaled ? [image[0] / images.get(id).height, image[1] / images.get(id).width] : [1, 1];
    const side = Math.ceil(Math.max(width * across, height * down));
    if (width > 0 && height > 0 && Number.isFinite(side)) sides.set(side, (sides.get(side) ?? 0) + 1);
  }
  if (!sides.size) throw new Error("none of its boxes has a size");
  return { sides: [...sides].sort(([p], [q]) => p - q), scaled };
}

/** Counts in bins of a third of an octave, from the smallest side to the largest. */
export function bins(sides) {
  const index = (s) => Math.round(Math.log2(s) * PER_OCTAVE);
  const [first, last] = [index(sides[0][0]), index(sides.at(-1)[0])];
  const found = Array.from({ length: last - first + 1 }, (_, k) => ({ size: 2 ** ((first + k) / PER_OCTAVE), count: 0 }));
  for (const [side, n] of sides) found[index(side) - first].count += n;
  return found;
}
