/** A network along time: what one unit reads of every layer below, with look-back and look-ahead shaded. */

import { color, cut } from "../dom.js";
import { number } from "../text.js";
import { heatColor } from "./heat.js";

const MOST_ROWS = 14;

/** The rows to draw, from the input up to the layer shown: those where the field grows, or as many of them evenly taken. */
export function rowsUpTo(model, op) {
  let widest = 0;
  const rows = model.rows.filter((row) => {
    if (row.op > op || model.net.ops[row.op].unitSizes.length !== 1) return false;
    const grows = model.size(row.op) > widest;
    widest = Math.max(widest, model.size(row.op));
    return grows || row.op === op;
  });
  const steps = Math.max(1, Math.ceil((rows.length - 1) / (MOST_ROWS - 1)));
  const kept = rows.filter((row, k) => (rows.length - 1 - k) % steps === 0);
  const input = model.net.ops.findIndex((o) => o.kind === "input" && o.unitSizes?.length);
  return kept.length && kept[0].op !== input ? [{ op: input, label: "input" }, ...kept] : kept;
}

/**
 * Draw the flow. `trace` gives per op the units that the chosen one reads. Returns what turns x into an input pixel.
 */
export function drawFlow(c, width, height, { model, look, rows, trace, unit, op, show, floor, pixel }) {
  const { net } = model;
  const n = net.image[0];
  const [lo, hi] = look.box[0];
  const span = show.zoom && hi > lo ? [lo - 0.06 * (hi - lo) - 1, hi + 0.06 * (hi - lo) + 1] : [Math.min(0, Math.max(lo, -n / 4)), Math.max(n, Math.min(hi, n * 1.25))];
  const gutter = Math.min(130, width * 0.2);
  const scale = (width - gutter - 8) / (span[1] - span[0]);
  const X = (p) => gutter + (p - span[0]) * scale;
  const step = (height - 50) / Math.max(1, rows.length - 1 || 1);
  const Y = (k) => height - 34 - k * step;
  const now = time(net, op, unit);

  c.save();
  c.beginPath();
  c.rect(gutter, 0, width - gutter, height);
  c.clip();
  if (show.boxes && hi > lo) {
    shade(c, X(lo), X(Math.min(hi, now)), height, color("back"));
    shade(c, X(Math.max(lo, now + 1)), X(hi), height, color("ahead"));
  }
  c.fillStyle = color("outside");
  c.fillRect(gutter, 0, X(0) - gutter, height);
  c.fillRect(X(n), 0, width - X(n), height);
  rows.forEach((row, k) => ticks(c, net, row, show.set ? trace?.get(row.op) : null, k, X, Y, scale, span));
  if (show.heat && look.effective) heat(c, look.effective, floor, X, Y(0) + 6, scale);
  if (show.boxes && look.square) bracket(c, look.square[0], X, Y(0));
  c.strokeStyle = color("ink");
  c.setLineDash([3, 3]);
  c.beginPath();
  c.moveTo(X(now + 0.5), 4);
  c.lineTo(X(now + 0.5), height - 20);
  c.stroke();
  c.setLineDash([]);
  if (pixel) (c.fillStyle = color("b-line")), c.fillRect(X(pixel[0]) - 0.5, Y(0) - 9, Math.max(scale, 2), 18);
  c.restore();

  c.font = `11px ${getComputedStyle(document.body).fontFamily}`;
  c.fillStyle = color("ink");
  c.textBaseline = "middle";
  rows.forEach((row, k) => c.fillText(cut(row.label, Math.floor(gutter / 6.4)), 2, Y(k)));
  axis(c, span, X, height, width);
  return (px) => Math.floor((px - gutter) / scale + span[0]);
}

/** The pixel that a unit stands at: its index times the stride. */
export function time(net, op, unit) {
  const stride = net.ops[op].stride[0];
  const step = typeof stride === "string" ? stride.split("/").map(Number).reduce((p, q) => p / q) : (stride ?? net.image[0] / (net.ops[op].unitSizes[0] || 1));
  return Math.floor((unit[0] ?? 0) * step);
}

function shade(c, from, to, height, style) {
  if (to <= from) return;
  c.fillStyle = style;
  c.fillRect(from, 0, to - from, height - 18);
}

/** The effective field, as a strip below the input. */
function heat(c, { field, shift }, floor, X, y, scale) {
  field.levels.forEach((level, k) => {
    if (level === 0 || (level / 63) ** 2 < floor) return; // levels are roots
    c.fillStyle = heatColor(level);
    c.fillRect(X(field.origin[0] + shift[0] + k * field.step), y, Math.max(1, field.step * scale), 6);
  });
}

/** The part of the input that holds 95 % of the effective field. */
function bracket(c, [from, to], X, y) {
  c.strokeStyle = color("effective");
  c.lineWidth = 1.8;
  c.strokeRect(X(from), y - 7, X(to) - X(from), 20);
  c.lineWidth = 1;
}

/** One layer: a dot for every unit that fits, full where it is read. */
function ticks(c, net, row, read, k, X, Y, scale, span) {
  const o = net.ops[row.op];
  const count = o.unitSizes[0];
  const at = (i) => X(time(net, row.op, [i]) + 0.5);
  const spacing = count > 1 ? Math.abs(at(1) - at(0)) : 20;
  const every = Math.max(1, Math.ceil(4 / Math.max(spacing, 1e-9)));
  const isRead = (i) => read && i >= read.origin[0] && i < read.origin[0] + read.shape[0] && read.mask[i - read.origin[0]];
  if (spacing >= 4) {
    for (let i = 0; i < count; i++) {
      const x = at(i);
      if (x < X(span[0]) - 5 || x > X(span[1]) + 5) continue;
      c.beginPath();
      c.arc(x, Y(k), Math.min(4.5, spacing * 0.36), 0, 7);
      c.fillStyle = isRead(i) ? color("a-line") : color("line");
      c.fill();
    }
    return;
  }
  c.fillStyle = color("line");
  c.fillRect(at(0), Y(k) - 1.5, at(count - 1) - at(0), 3);
  if (!read) return;
  c.fillStyle = color("a-line");
  for (let i = read.origin[0]; i < read.origin[0] + read.shape[0]; i++) {
    if (isRead(i)) c.fillRect(at(i) - 0.5, Y(k) - 4, Math.max(1, spacing * every * 0.3), 8);
  }
}

function axis(c, span, X, height, width) {
  const rough = (span[1] - span[0]) / 6;
  const power = 10 ** Math.floor(Math.log10(Math.max(rough, 1)));
  const step = [1, 2, 5, 10].map((m) => m * power).find((s) => s >= rough) ?? 1;
  c.textAlign = "center";
  c.fillStyle = color("muted");
  for (let p = Math.ceil(span[0] / step) * step; p <= span[1]; p += step) if (X(p) < width - 12) c.fillText(number(p), X(p + 0.5), height - 8);
  c.textAlign = "left";
}
