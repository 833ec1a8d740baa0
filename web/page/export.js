/** Files that the page saves. Nothing leaves the computer. */

/** Save a text as a file. */
export function saveText(text, name, type = "text/plain") {
  save(new Blob([text], { type: `${type};charset=utf-8` }), name);
}

/** Save what a canvas shows as PNG. */
export function saveCanvas(canvas, name) {
  canvas.toBlob((blob) => blob && save(blob, name));
}

/** Save an SVG with the colours it has now, to be opened anywhere. */
export function saveSvg(node, name) {
  const copy = node.cloneNode(true);
  const [from, to] = [node, copy].map((root) => [root, ...root.querySelectorAll("*")]);
  from.forEach((source, k) => {
    const style = getComputedStyle(source);
    for (const property of ["fill", "stroke", "stroke-width", "stroke-dasharray", "opacity", "font-size", "font-family", "font-weight", "text-anchor", "paint-order"]) {
      to[k].style.setProperty(property, style.getPropertyValue(property));
    }
  });
  copy.setAttribute("xmlns", "http://www.w3.org/2000/svg");
  save(new Blob([new XMLSerializer().serializeToString(copy)], { type: "image/svg+xml" }), name);
}

function save(blob, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name.replace(/[^\w.\-]+/g, "_").slice(0, 120);
  link.click(); // the address is kept as long as the page is: nothing tells when a slow browser has read it
}
