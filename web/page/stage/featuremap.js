/** The units of a layer as a grid: padding exposure as colour, the chosen unit, and the units that see a pixel. */

import { color } from "../dom.js";

/** How units lie on a grid: the last two axes; leading ones are slid through; a single axis is wrapped where the image is a plane. */
export function gridOf(op, image) {
  const sizes = op.unitSizes;
  if (sizes.length === 0) return { rows: 1, columns: 1, lead: [], wrap: false };
  if (sizes.length === 1) {
    const columns = image.length > 1 ? Math.ceil(Math.sqrt(sizes[0])) : sizes[0];
    return { rows: Math.ceil(sizes[0] / columns) || 1, columns: Math.max(1, columns), lead: [], wrap: true };
  }
  return { rows: sizes.at(-2), columns: sizes.at(-1), lead: sizes.slice(0, -2), wrap: false };
}

/** The unit in a cell, or null. */
export function unitAt(grid, op, unit, row, column) {
  if (op.unitSizes.length === 0) return [];
  if (row < 0 || column < 0 || row >= grid.rows || column >= grid.columns) return null;
  if (!grid.wrap) return [...unit.slice(0, grid.lead.length), row, column];
  const index = row * grid.columns + column;
  return index < op.unitSizes[0] ? [index] : null;
}

/** The cell of a unit. */
export function cellOf(grid, unit) {
  if (unit.length === 0) return [0, 0];
  return grid.wrap ? [Math.floor(unit[0] / grid.columns), unit[0] % grid.columns] : unit.slice(-2);
}

/** Where the shown plane of units begins in an array over all units. */
function offset(grid, op, unit) {
  if (grid.wrap || unit.length === 0) return 0;
  let base = 0;
  for (let k = 0; k < grid.lead.length; k++) base = base * grid.lead[k] + unit[k];
  return base * grid.rows * grid.columns;
}

/** Draw the grid into all of the canvas. */
export function drawMap(c, width, height, { op, unit, grid, exposure, reached }) {
  const cells = grid.wrap ? (op.unitSizes[0] ?? 1) : grid.rows * grid.columns;
  const base = offset(grid, op, unit);
  const small = new OffscreenCanvas(grid.columns, grid.rows);
  const s = small.getContext("2d");
  const image = s.createImageData(grid.columns, grid.rows);
  const [clear, full, seen] = ["cell", "exposed", "reached"].map(rgb);
  for (let k = 0; k < cells; k++) {
    const share = exposure ? exposure.values[exposure.values.length === 1 ? 0 : base + k] : 0;
    const tone = reached?.mask[base + k] ? seen : clear.map((v, i) => v + (full[i] - v) * share);
    image.data.set([...tone, 255], 4 * k);
  }
  s.putImageData(image, 0, 0);
  c.imageSmoothingEnabled = false;
  c.drawImage(small, 0, 0, width, height);
  const [w, h] = [width / grid.columns, height / grid.rows];
  if (Math.min(w, h) >= 5) lines(c, width, height, grid, w, h);
  const [row, column] = cellOf(grid, unit);
  const [ow, oh] = [Math.max(w, 7), Math.max(h, 7)];
  const [x, y] = [column * w + w / 2 - ow / 2, row * h + h / 2 - oh / 2];
  c.strokeStyle = color("cell");
  c.lineWidth = 4;
  c.strokeRect(x, y, ow, oh);
  c.strokeStyle = color("ink");
  c.lineWidth = 2;
  c.strokeRect(x, y, ow, oh);
}

function lines(c, width, height, grid, w, h) {
  c.strokeStyle = color("grid");
  c.lineWidth = 1;
  c.beginPath();
  for (let k = 1; k < grid.columns; k++) c.moveTo(Math.round(k * w), 0), c.lineTo(Math.round(k * w), height);
  for (let k = 1; k < grid.rows; k++) c.moveTo(0, Math.round(k * h)), c.lineTo(width, Math.round(k * h));
  c.stroke();
}

function rgb(name) {
  const hex = color(name).replace("#", "");
  return [0, 2, 4].map((k) => parseInt(hex.slice(k, k + 2), 16));
}
