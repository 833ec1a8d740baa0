/** Numbers as people read them. */

/** @param {number|string|null} n a number of pixels; "inf" and "-inf" as in the table */
export function pixels(n) {
  if (n === null || n === undefined) return "–";
  if (n === "inf" || n === Infinity) return "∞";
  if (n === "-inf" || n === -Infinity) return "−∞";
  return typeof n === "number" ? String(n).replace("-", "−") : n;
}

/** 56×56, or 56 where all are equal and `short`. */
export function sizes(values, short = false) {
  const texts = values.map(pixels);
  return short && new Set(texts).size === 1 ? texts[0] : texts.join("×");
}

/** 0.0123 is 1.2 %. */
export function percent(share) {
  if (share === null || share === undefined || Number.isNaN(share)) return "–";
  const p = share * 100;
  if (p > 0 && p < 0.1) return "< 0.1 %";
  if (p < 100 && p > 99.9) return "> 99.9 %";
  return `${p >= 10 || Number.isInteger(p) ? Math.round(p * 10) / 10 : p.toFixed(1)} %`;
}

/** 12345 is 12,345; 2n ** 80n is 1.2 × 10²⁴. @param {number|bigint} n */
export function count(n) {
  const whole = typeof n === "bigint" ? n.toString() : String(Math.round(n));
  if (whole.length <= 15) return whole.replace(/\B(?=(\d{3})+$)/g, ",");
  return `${whole[0]}.${whole[1]} × 10${[...String(whole.length - 1)].map((d) => "⁰¹²³⁴⁵⁶⁷⁸⁹"[+d]).join("")}`;
}

/** 1813561344 is 1.81 G. */
export function metric(n) {
  const power = Math.min(4, Math.floor(Math.log10(Math.max(n, 1)) / 3));
  return power ? `${number(n / 1000 ** power)} ${" kMGT"[power]}` : String(n);
}

/** Three digits that matter. */
export function number(x) {
  if (x === null || x === undefined || Number.isNaN(x)) return "–";
  if (!Number.isFinite(x)) return pixels(x);
  return Math.abs(x) >= 100 ? String(Math.round(x)) : String(Number(x.toPrecision(3)));
}

/** 1/2 and 4 as numbers. */
export function value(n) {
  if (typeof n === "number") return n;
  if (n === "inf") return Infinity;
  if (n === "-inf") return -Infinity;
  if (typeof n === "string" && /^-?\d+\/\d+$/.test(n)) {
    const [p, q] = n.split("/").map(Number);
    return p / q;
  }
  return NaN;
}

/** The largest size over the axes, in pixels. */
export function largest(size) {
  return Math.max(...size.map(value));
}
