/** Effective fields as heat: the 64 levels that the file holds, in colours that darken evenly. */

const STOPS = [
  [0, 0, 4], [31, 12, 72], [85, 15, 109], [136, 34, 106], [186, 54, 85], [227, 89, 51], [249, 140, 10], [249, 201, 50], [252, 255, 164],
]; // inferno, van der Walt & Smith 2015

const DARKEST = 1.6; // stops left out at the dark end: faint must not look like unread

const COLORS = Array.from({ length: 64 }, (_, level) => {
  const at = DARKEST + (level / 63) * (STOPS.length - 1 - DARKEST);
  const k = Math.min(STOPS.length - 2, Math.floor(at));
  return STOPS[k].map((c, i) => Math.round(c + (STOPS[k + 1][i] - c) * (at - k)));
});

/** The colour of a level, as CSS. */
export function heatColor(level) {
  return `rgb(${COLORS[level].join(" ")})`;
}

/**
 * A plane of an effective field as a small canvas, one pixel per block.
 * @param {import("../report.js").Field} field @param {[number, number]} axes the plane's two space axes @param {(number|null)[]} at block index along the others
 * @param {number} floor share of the largest value (0…1) under which nothing is drawn
 */
export function heatPlane(field, axes, at, floor) {
  const [h, w] = axes.map((a) => field.shape[a]);
  const canvas = new OffscreenCanvas(w, h);
  const context = canvas.getContext("2d");
  const image = context.createImageData(w, h);
  const strides = field.shape.map((_, k) => field.shape.slice(k + 1).reduce((p, n) => p * n, 1));
  const base = at.reduce((sum, index, k) => sum + (index === null ? 0 : index * strides[k]), 0);
  for (let y = 0; y < h; y++) {
    for (let x = 0; x < w; x++) {
      const level = field.levels[base + y * strides[axes[0]] + x * strides[axes[1]]];
      if (level === 0 || (level / 63) ** 2 < floor) continue; // levels are roots
      image.data.set([...COLORS[level], Math.round(235 * (level / 63) ** 0.8)], 4 * (y * w + x));
    }
  }
  context.putImageData(image, 0, 0);
  return canvas;
}
