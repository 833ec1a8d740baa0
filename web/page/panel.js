/** The frame of a panel: its title, a remark, and ways to take what it shows away. */

import { el, put } from "./dom.js";
import { saveCanvas, saveSvg, saveText } from "./export.js";

/**
 * Fill `node` with a panel's frame.
 * @param {HTMLElement} node a section; @param {import("./state.js").State} state @param {string} title
 * @param {{csv?: () => (string|number)[][], canvas?: () => HTMLCanvasElement, svg?: () => SVGElement, name?: () => string}} exports
 * @returns {{title: HTMLElement, remark: HTMLElement, body: HTMLElement}}
 */
export function frame(node, state, title, exports = {}) {
  const heading = el("h2", { id: `${node.id}-title` }, title);
  const remark = el("p", { class: "remark" });
  const body = el("div", { class: "body" });
  const name = () => exports.name?.() ?? node.id;
  const button = (kind, save) => buttonOf(kind, title, () => (state.settle(), save())); // else a file could bear the name of what is not drawn yet
  const buttons = [
    exports.canvas && button("PNG", () => saveCanvas(exports.canvas(), `${name()}.png`)),
    exports.svg && button("SVG", () => saveSvg(exports.svg(), `${name()}.svg`)),
    exports.csv && button("CSV", () => saveText(table(exports.csv()), `${name()}.csv`, "text/csv")),
  ];
  node.setAttribute("aria-labelledby", heading.id);
  put(node, el("header", {}, heading, remark, el("div", { class: "exports" }, buttons)), body);
  return { title: heading, remark, body };
}

function buttonOf(kind, title, onclick) {
  return el("button", { type: "button", class: "quiet", "aria-label": `Save ${title} as ${kind}`, title: `Save as ${kind}`, onclick }, kind);
}

/** Rows as CSV. A text that a spreadsheet would run as a formula is kept text by a quote in front. */
export function table(rows) {
  return rows.map((row) => row.map(cell).join(",")).join("\r\n") + "\r\n";
}

function cell(value) {
  const text = typeof value === "string" && /^\s*[=+@-]/.test(value) && !/^-[\d.,∞]*$/.test(value) ? `'${value}` : String(value ?? "");
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
