/** Small charts in SVG: a frame with axes, and marks in it. */

import { svg } from "./dom.js";

export const WIDTH = 360;

/**
 * A frame with a vertical and a horizontal axis.
 * @param {{height?: number, label: string, x: (v: number) => number, y: (v: number) => number}} options `x`, `y`: from values to 0…1
 */
export function chart({ height = 190, label, x, y, left = 38, right = 10, top = 14, bottom = 26 }) {
  const root = svg("svg", { viewBox: `0 0 ${WIDTH} ${height}`, role: "img", "aria-label": label, class: "chart" });
  const X = (v) => left + x(v) * (WIDTH - left - right);
  const Y = (v) => height - bottom - y(v) * (height - top - bottom);
  const add = (tag, attributes, ...children) => root.appendChild(svg(tag, attributes, ...children));
  return {
    root, X, Y, add,
    ticksY: (values, text = String) =>
      values.forEach((v) => {
        add("line", { class: "grid", x1: left, x2: WIDTH - right, y1: Y(v), y2: Y(v) });
        add("text", { x: left - 5, y: Y(v) + 3.5, "text-anchor": "end" }, text(v));
      }),
    ticksX: (values, text = String) => values.forEach((v) => add("text", { x: X(v), y: height - bottom + 14, "text-anchor": "middle" }, text(v))),
    lineX: (v, className, text, row = 0) => {
      add("line", { class: className, x1: X(v), x2: X(v), y1: top - 6, y2: height - bottom });
      const leftward = X(v) > WIDTH * 0.6;
      if (text) add("text", { class: className, x: X(v) + (leftward ? -4 : 4), y: top + 2 + row * 12, "text-anchor": leftward ? "end" : "start" }, text);
    },
    caption: (text) => add("text", { class: "caption", x: left, y: height - 2 }, text),
  };
}

/** Powers of two, at most `most` of them, up to `top`. */
export function powers(top, most = 6) {
  const last = Math.floor(Math.log2(Math.max(1, top)));
  const step = Math.max(1, Math.ceil(last / (most - 1)));
  return Array.from({ length: Math.floor(last / step) + 1 }, (_, k) => 2 ** (k * step));
}

/** Round numbers from 0 to `top`. */
export function steps(top, most = 5) {
  const rough = Math.max(top, 1) / most;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = Math.max(1, [1, 2, 5, 10].map((m) => m * power).find((s) => s >= rough));
  return Array.from({ length: Math.floor(top / step) + 1 }, (_, k) => k * step);
}
