/** The picture under the field: the report's own, or one that the reader drops on it. It stays in the page. */

import { el, onDrop } from "../dom.js";

const ASK = " or drop one here; it stays in this page.";

/** @param {HTMLElement} target where pictures are dropped @returns {{now: CanvasImageSource|null, drop: HTMLElement, changed: (listener: () => void) => void}} */
export function pictureOf(target, state) {
  const listeners = [];
  const file = el("input", { type: "file", accept: "image/*", class: "hidden", tabindex: -1, "aria-hidden": "true", onchange: () => file.files[0] && take(file.files[0]) });
  const said = el("span", { role: "status" }, ASK);
  const found = {
    now: null,
    drop: el("p", { class: "drop" }, el("button", { type: "button", class: "quiet", onclick: () => file.click() }, "Your own picture"), said, file),
    changed: (listener) => listeners.push(listener),
  };

  function show(url, after) {
    const image = new Image();
    image.onload = () => {
      found.now = fitted(image, state.net.image);
      said.textContent = ASK;
      after?.();
      listeners.forEach((listener) => listener());
    };
    image.onerror = () => {
      after?.();
      said.textContent = " That file is no picture this browser can read.";
    };
    image.src = url;
  }

  function take(blob) {
    const url = URL.createObjectURL(blob);
    show(url, () => URL.revokeObjectURL(url));
  }

  onDrop(target, take);
  if (state.report.picture) show(state.report.picture);
  return found;
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
