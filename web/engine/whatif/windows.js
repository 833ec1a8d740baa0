/** Lengths of windowed ops. The twin of isopter/design/windows.py. */

/** Why an op does not fit the shapes around it: completes "<op> stops matching: ...". */
export class Misfit extends Error {}

/**
 * @typedef {{kernel: number, stride: number, dilation: number, pad: number, back: number, ceil: boolean}} Window
 * @typedef {{kernel: number, stride: number, dilation: number, pad: number, extra: number}} Transposed
 * @typedef {{kernel?: number, stride?: number, dilation?: number, padding?: number}} Numbers  the edit of one axis
 */

const spanOf = ({ kernel, dilation }) => dilation * (kernel - 1) + 1;

/** How many windows fit n positions. @param {Window} window @param {number} n */
export function windowCount(window, n) {
  const { stride, pad, back, ceil } = window;
  const room = n + pad + back - spanOf(window);
  if (room < 0) {
    const padded = pad || back ? `${n} positions and ${pad + back} of padding` : `${n} positions`;
    throw new Misfit(`its window spans ${spanOf(window)} positions, and there are ${padded}`);
  }
  if (!ceil) return Math.floor(room / stride) + 1;
  const count = Math.ceil(room / stride) + 1;
  return (count - 1) * stride >= n + pad ? count - 1 : count;
}

/** The window with the end that gives m outputs for n inputs. @param {Window} window @returns {Window} */
export function ended(window, n, m) {
  const alike = { ...window, back: window.pad };
  for (const candidate of [alike, { ...alike, ceil: true }]) {
    if (n + 2 * window.pad >= spanOf(window) && windowCount(candidate, n) === m) return candidate;
  }
  return { ...window, back: (m - 1) * window.stride + spanOf(window) - n - window.pad };
}

/** With other numbers. Padding that keeps the length goes on keeping it, unless it is given. @param {Window} window @param {Numbers} edit */
export function edited(window, { kernel, stride, dilation, padding }) {
  const found = { ...window, kernel: kernel ?? window.kernel, stride: stride ?? window.stride, dilation: dilation ?? window.dilation };
  if (padding !== undefined) return { ...found, pad: padding, back: padding };
  const same = window.pad === window.back && 2 * window.pad === spanOf(window) - 1;
  if (!same || spanOf(found) === spanOf(window)) return found;
  const total = spanOf(found) - 1;
  return { ...found, pad: Math.floor(total / 2), back: total - Math.floor(total / 2) };
}

const bareCount = ({ kernel, stride, dilation, pad }, n) => (n - 1) * stride - 2 * pad + dilation * (kernel - 1) + 1;

/** How many outputs n positions give. @param {Transposed} window @param {number} n */
export function transposedCount(window, n) {
  const count = bareCount(window, n) + window.extra;
  if (count < 1) throw new Misfit(`its padding of ${window.pad} leaves nothing of ${n} positions`);
  return count;
}

/** The transposed window that gives m outputs for n inputs. @returns {Transposed} */
export const endedTransposed = (window, n, m) => ({ ...window, extra: m - bareCount(window, n) });

/** As `edited`, for a transposed window. */
export function editedTransposed(window, { kernel, stride, dilation, padding }) {
  const found = { ...window, kernel: kernel ?? window.kernel, stride: stride ?? window.stride, dilation: dilation ?? window.dilation };
  if (padding !== undefined) found.pad = padding;
  else if (2 * window.pad === window.dilation * (window.kernel - 1)) found.pad = Math.floor((found.dilation * (found.kernel - 1)) / 2);
  if (found.extra && found.extra >= Math.max(found.stride, found.dilation)) {
    throw new Misfit(`it adds ${found.extra} outputs at the end, which takes a stride or dilation of more than ${found.extra}`);
  }
  return found;
}
