/** The picture under the field: the report's own, or one that the reader drops on it. It stays in the page. */

import { el, onDrop } from "../dom.js";

const ASK = " or drop one here; it stays in this page.";

/**
 * @param {HTMLElement} target where pictures are dropped
 * @returns {{now: CanvasImageSource|null, drop: HTMLElement, loaded: Promise<void>}} `now` has the size of the input shown; `loaded`: the report's own
 */
export function pictureOf(target, state) {
  let image = null;
  let fit = null;
  let latest = null;
  const file = el("input", { type: "file", accept: "image/*", class: "hidden", tabindex: -1, "aria-hidden": "true", onchange: () => file.files[0] && take(file.files[0]) });
  const said = el("span", { role: "status" }, ASK);
  const drop = el("p", { class: "drop" }, el("button", { type: "button", class: "quiet", onclick: () => file.click() }, "Your own picture"), said, file);

  /** Of several pictures the one given last counts, whichever is decoded first. */
  async function show(url) {
    latest = url;
    const given = await decoded(url);
    if (url !== latest) return;
    said.textContent = given ? ASK : " That file is no picture this browser can read.";
    if (!given) return;
    [image, fit] = [given, null];
    state.refresh();
  }

  async function take(blob) {
    const url = URL.createObjectURL(blob);
    await show(url);
    URL.revokeObjectURL(url);
  }

  onDrop(target, take);
  return {
    drop,
    loaded: state.report.picture ? show(state.report.picture) : Promise.resolve(),
    get now() {
      const size = state.net.image;
      if (image && fit?.size !== size) fit = { size, canvas: fitted(image, size) };
      return fit?.canvas ?? null;
    },
  };
}

/** @returns {Promise<HTMLImageElement|null>} null where it is no picture */
function decoded(url) {
  return new Promise((done) => {
    const image = new Image();
    image.onload = () => done(image);
    image.onerror = () => done(null);
    image.src = url;
  });
}

/** The middle of a picture, cut to the shape of the input and brought to its size. */
function fitted(image, [height, width]) {
  const scale = Math.max(width / image.naturalWidth, height / image.naturalHeight);
  const [w, h] = [image.naturalWidth * scale, image.naturalHeight * scale];
  const canvas = new OffscreenCanvas(Math.min(width, 4096), Math.min(height, 4096));
  const c = canvas.getContext("2d");
  c.scale(canvas.width / width, canvas.height / height);
  c.imageSmoothingQuality = "high";
  c.drawImage(image, (width - w) / 2, (height - h) / 2, w, h);
  return canvas;
}
