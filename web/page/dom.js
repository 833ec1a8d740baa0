/** Elements made from text, never from markup: a layer's name can hold anything. */

const SVG = "http://www.w3.org/2000/svg";

/**
 * An HTML element. `attributes`: `class`, `onclick`, … ; functions become listeners, true and false set and leave out.
 * @param {string} tag @param {Record<string, any>} [attributes] @param {...any} children text, elements, or nothing
 * @returns {HTMLElement}
 */
export function el(tag, attributes, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

/** An SVG element, as `el`. @returns {SVGElement} */
export function svg(tag, attributes, ...children) {
  return fill(document.createElementNS(SVG, tag), attributes, children);
}

function fill(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (typeof value === "function") node.addEventListener(name.slice(2), value);
    else if (value === true) node.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) node.setAttribute(name, String(value));
  }
  node.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

/** Replace all that is in `node`. */
export function put(node, ...children) {
  node.replaceChildren(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
}

/** `text` in at most `most` characters, its middle cut out: both ends of a layer's name tell it apart. */
export function cut(text, most) {
  const letters = [...text];
  if (letters.length <= most) return text;
  const tail = Math.ceil((most - 1) / 2);
  return letters.slice(0, most - 1 - tail).join("") + "…" + letters.slice(-tail).join("");
}

/** A canvas that is sharp on this screen: `draw(context, width, height)` works in CSS pixels. */
export function paint(canvas, width, height, draw) {
  const scale = Math.min(window.devicePixelRatio || 1, 3);
  const [w, h] = [Math.max(1, Math.round(width * scale)), Math.max(1, Math.round(height * scale))];
  if (canvas.width !== w || canvas.height !== h) [canvas.width, canvas.height] = [w, h];
  canvas.style.height = `${height}px`;
  const context = canvas.getContext("2d");
  context.setTransform(w / width, 0, 0, h / height, 0, 0);
  context.clearRect(0, 0, width, height);
  draw(context, width, height);
}

/** Take a file that is dropped on `target`. @param {HTMLElement} target @param {(file: File) => void} take */
export function onDrop(target, take) {
  target.addEventListener("dragover", (event) => (event.preventDefault(), target.classList.add("dropping")));
  target.addEventListener("dragleave", () => target.classList.remove("dropping"));
  target.addEventListener("drop", (event) => {
    event.preventDefault();
    target.classList.remove("dropping");
    if (event.dataTransfer.files[0]) take(event.dataTransfer.files[0]);
  });
}

let named = {};

/** The colour that a CSS variable holds now. */
export function color(name) {
  return (named[name] ??= getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim());
}

/** Forget the colours: light has become dark, or the reverse. */
export function forgetColors() {
  named = {};
}
