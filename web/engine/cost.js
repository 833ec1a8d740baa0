/** What a network costs, from its ops alone. The twin of isopter/design/cost.py. */

import { sizeOf } from "./sets.js";

const FREE = new Set(
  "input pointwise pool adaptive_pool resample reduce norm softmax sort scan fourier reshape transpose slice pad roll concat take gather overlay chosen".split(" "),
);
const ONE_MATRIX = new Set(["linear", "mm", "addmm", "mv", "addmv"]);

/**
 * Multiply-accumulates and weights of what is known; `unknown` names the ops of which something is not. A module that runs several times
 * has its weights once.
 * @param {import("./net.js").Net} net @returns {{macs: number, weights: number, unknown: string[]}}
 */
export function cost({ ops }) {
  const found = { macs: 0, weights: 0, unknown: [] };
  for (const op of ops) {
    const [macs, weights] = costOf(op, op.inputs.map((i) => ops[i].shape));
    found.macs += macs ?? 0;
    if (!/#\d+(\.|$)/.test(op.module)) found.weights += weights ?? 0;
    if (macs === null || weights === null) found.unknown.push(op.name);
  }
  return found;
}

/** Both of one op; null where the op does not tell. */
function costOf(op, shapes) {
  if (FREE.has(op.kind)) return [0, 0];
  if (op.kind === "matmul") return product(op, shapes);
  if (op.kind !== "conv" && op.kind !== "conv_transpose") return [null, null];
  const taps = sizeOf((op.window ?? op.params).kernel);
  const groups = op.window?.groups ?? op.params?.groups ?? 1;
  const channels = op.params?.layout?.[1] ?? 1;
  const [into, out] = [shapes[0][channels], op.shape[channels]];
  const fixed = shapes.length > 1 || op.params?.taps || op.fixed;
  const [each, ways] = op.kind === "conv" ? [op.shape, into] : [shapes[0], out];
  return [sizeOf(each) * Math.floor(ways / groups) * taps, fixed ? 0 : Math.floor((into * out) / groups) * taps];
}

function product({ params, shape, source }, shapes) {
  const left = params.operands[0] === "left";
  const macs = sizeOf(shape) * shapes[0].at(left ? -1 : -2);
  if (params.operands.length > 1) return [macs, 0];
  if (!ONE_MATRIX.has(source) && shape.length > 2) return [macs, null];
  return [macs, shapes[0].at(left ? -1 : -2) * shape.at(left ? -1 : -2)];
}
