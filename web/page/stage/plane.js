/** A plane of the input: the picture, what is read of it, boxes, and the padding around. */

import { color } from "../dom.js";
import { heatPlane } from "./heat.js";
import { planeOf } from "./look.js";

export const MINIATURE = 72;

const MARGIN = 0.08;
const LEAST = 9; // pixels of the input that a zoomed view shows at the least

/**
 * The rectangle of the input to show: [top, left, height, width] in pixels.
 * @param {number[]} size height and width of the image @param {[number, number][]} box of the unit on these two axes
 */
export function frameOf(size, box, zoom, aspect) {
  let [[top, bottom], [left, right]] = zoom ? box : size.map((n, k) => [Math.min(0, Math.max(box[k][0], -n / 4)), Math.max(n, Math.min(box[k][1], n + n / 4))]);
  if (zoom && (top >= bottom || left >= right)) [top, bottom, left, right] = [0, size[0], 0, size[1]];
  const margin = (zoom ? 2 * MARGIN : MARGIN / 2) * Math.max(bottom - top, right - left);
  let [height, width] = [Math.max(bottom - top + margin, zoom ? LEAST : 0), Math.max(right - left + margin, zoom ? LEAST : 0)];
  if (height * aspect > width) width = height * aspect;
  else height = width / aspect;
  return [(top + bottom - height) / 2, (left + right - width) / 2, height, width];
}

/**
 * Draw one plane. Returns what turns a point of the canvas into an input pixel.
 * @param {CanvasRenderingContext2D} c
 * @param {{look: import("./look.js").Look, axes: [number, number], at: number[], image: number[], picture: CanvasImageSource|null, show: object, floor: number, pixel: number[]|null}} what
 */
export function drawPlane(c, width, height, what) {
  const { look, axes, at, image, picture, show, floor, pixel } = what;
  const [y, x] = axes;
  const size = [image[y], image[x]];
  const box = [look.box[y], look.box[x]];
  const [top, left, rows] = frameOf(size, box, show.zoom, width / height);
  const scale = height / rows;
  const X = (p) => (p - left) * scale;
  const Y = (p) => (p - top) * scale;

  hatch(c, width, height);
  c.save();
  c.beginPath();
  c.rect(X(0), Y(0), size[1] * scale, size[0] * scale);
  c.clip();
  c.imageSmoothingEnabled = scale < 2;
  c.drawImage(picture ?? pattern(size), X(0), Y(0), size[1] * scale, size[0] * scale);
  const plane = planeOf(look.set, axes, at);
  c.imageSmoothingEnabled = false;
  if (show.set) shade(c, plane, X, Y, size, scale);
  if (show.heat && look.effective) heat(c, look.effective, axes, at, floor, X, Y, scale);
  if (show.set && show.heat && plane && look.effective) holes(c, plane, X, Y, scale);
  c.restore();

  c.strokeStyle = color("muted");
  c.lineWidth = 1;
  c.strokeRect(X(0), Y(0), size[1] * scale, size[0] * scale);
  if (show.boxes && look.square) outline(c, [look.square[y], look.square[x]], X, Y, color("effective"));
  if (show.boxes && box.every(([lo, hi]) => hi > lo)) outline(c, box, X, Y, color("a-line"));
  if (pixel) mark(c, pixel[y], pixel[x], X, Y, scale);
  return (px, py) => [Math.floor(py / scale + top), Math.floor(px / scale + left)];
}

let hatched = null;

/** Padding: thin lines aslant. */
function hatch(c, width, height) {
  const key = color("hatch");
  if (hatched?.key !== key) {
    const tile = new OffscreenCanvas(8, 8);
    const t = tile.getContext("2d");
    t.strokeStyle = key;
    t.lineWidth = 1;
    t.beginPath();
    for (const o of [-8, 0, 8]) t.moveTo(o, 0), t.lineTo(o + 8, 8);
    t.stroke();
    hatched = { key, tile };
  }
  c.fillStyle = c.createPattern(hatched.tile, "repeat");
  c.fillRect(0, 0, width, height);
}

const patterns = new Map();

/** In place of a picture: squares of 16 pixels, so that sizes can be judged. */
function pattern([height, width]) {
  const key = `${height} ${width} ${color("panel")}`;
  if (!patterns.has(key)) {
    const unit = Math.max(1, Math.min(16, Math.floor(Math.min(height, width) / 4)));
    const [h, w] = [height, width].map((n) => Math.max(1, Math.min(n, 2048)));
    const canvas = new OffscreenCanvas(w, h);
    const c = canvas.getContext("2d");
    c.fillStyle = "#9aa7b8";
    c.fillRect(0, 0, w, h);
    c.fillStyle = "#b4bfcc";
    for (let y = 0; y * unit < h; y++) for (let x = y % 2; x * unit < w; x += 2) c.fillRect(x * unit, y * unit, unit, unit);
    if (patterns.size > 8) patterns.clear();
    patterns.set(key, canvas);
  }
  return patterns.get(key);
}

/** Darken every pixel that is not read. */
function shade(c, plane, X, Y, [height, width], scale) {
  c.fillStyle = "rgb(6 10 18 / 0.66)";
  if (!plane) return c.fillRect(X(0), Y(0), width * scale, height * scale);
  const { top, left } = plane;
  c.fillRect(X(0), Y(0), width * scale, top * scale);
  c.fillRect(X(0), Y(top + plane.height), width * scale, (height - top - plane.height) * scale);
  c.fillRect(X(0), Y(top), left * scale, plane.height * scale);
  c.fillRect(X(left + plane.width), Y(top), (width - left - plane.width) * scale, plane.height * scale);
  c.drawImage(unread(plane, 168), X(left), Y(top), plane.width * scale, plane.height * scale);
}

/** Holes stay dark under the heat. */
function holes(c, plane, X, Y, scale) {
  c.drawImage(unread(plane, 150), X(plane.left), Y(plane.top), plane.width * scale, plane.height * scale);
}

function unread(plane, alpha) {
  const canvas = new OffscreenCanvas(Math.max(1, plane.width), Math.max(1, plane.height));
  const context = canvas.getContext("2d");
  const image = context.createImageData(canvas.width, canvas.height);
  const words = new Uint32Array(image.data.buffer);
  const dark = (alpha << 24) | (18 << 16) | (10 << 8) | 6;
  for (let i = 0, k = 0; i < plane.height; i++) {
    let from = plane.base + i * plane.rows;
    for (let j = 0; j < plane.width; j++, from += plane.columns, k++) if (!plane.mask[from]) words[k] = dark;
  }
  context.putImageData(image, 0, 0);
  return canvas;
}

function heat(c, { field, shift }, axes, at, floor, X, Y, scale) {
  const blocks = field.shape.map((n, k) => (axes.includes(k) ? null : Math.floor((at[k] - field.origin[k] - shift[k]) / field.step)));
  if (blocks.some((block, k) => block !== null && (block < 0 || block >= field.shape[k]))) return;
  const map = heatPlane(field, axes, blocks, floor);
  const [y, x] = axes;
  const side = field.step * scale;
  c.imageSmoothingEnabled = field.step > 1;
  c.drawImage(map, X(field.origin[x] + shift[x]), Y(field.origin[y] + shift[y]), field.shape[x] * side, field.shape[y] * side);
  c.imageSmoothingEnabled = false;
}

function outline(c, [[top, bottom], [left, right]], X, Y, style) {
  for (const [stroke, width] of [["rgb(255 255 255 / 0.55)", 3.5], [style, 1.8]]) {
    c.strokeStyle = stroke;
    c.lineWidth = width;
    c.strokeRect(X(left), Y(top), X(right) - X(left), Y(bottom) - Y(top));
  }
}

function mark(c, py, px, X, Y, scale) {
  const side = Math.max(scale, 5);
  c.strokeStyle = color("b-line");
  c.lineWidth = 2;
  c.strokeRect(X(px + 0.5) - side / 2, Y(py + 0.5) - side / 2, side, side);
}

/** All of the image, small, with the box of the field in it: where a zoomed view is. */
export function drawMiniature(c, width, height, { image: size, picture, box }) {
  const scale = Math.min(width / size[1], height / size[0]) * 0.92;
  const [x0, y0] = [(width - size[1] * scale) / 2, (height - size[0] * scale) / 2];
  c.imageSmoothingEnabled = true;
  c.drawImage(picture ?? pattern(size), x0, y0, size[1] * scale, size[0] * scale);
  c.strokeStyle = color("muted");
  c.strokeRect(x0, y0, size[1] * scale, size[0] * scale);
  outline(c, box.map(([lo, hi], k) => [Math.max(lo, -size[k] * 0.04), Math.min(hi, size[k] * 1.04)]), (p) => x0 + p * scale, (p) => y0 + p * scale, color("a-line"));
}
