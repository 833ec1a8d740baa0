/** Inside another page's frame (a notebook's widget): tell it what is selected, and follow what it selects. */

/**
 * @typedef {object} Selection
 * @property {string} layer name of an op @property {number[]} unit an index per unit axis
 * @property {number} [model] index of the model, where it is not the first
 */

/**
 * Post `{isopter: "ready", selection}` to the page around this one, then `{isopter: "selection", selection, turn}` at every change, where
 * `turn` is that of the last `{isopter: "select", selection, turn}` heard: from it the other side knows what crossed its own message.
 */
export function framed(state) {
  if (window.parent === window) return;
  const now = () => selected(state.op.name, state.view.unit, state.view.a);
  let known = "";
  let turn = 0;
  const post = (isopter) => {
    const selection = now();
    known = JSON.stringify(selection);
    window.parent.postMessage({ isopter, selection: exists(state.report, selection) ? selection : null, turn }, "*"); // who frames a file has its text already
  };
  state.watch(() => JSON.stringify(now()) !== known && post("selection"));
  addEventListener("message", ({ source, data }) => {
    if (source !== window.parent || data?.isopter !== "select") return;
    turn = data.turn ?? 0;
    if (!exists(state.report, data.selection)) return;
    const { model: a = 0, layer, unit } = data.selection;
    known = JSON.stringify(selected(layer, unit, a));
    state.set({ a, op: place(state.report.models[a].net, layer), unit: [...unit] });
  });
  post("ready");
}

/** @returns {Selection} */
function selected(layer, unit, a) {
  return { layer, unit: [...unit], ...(a > 0 && { model: a }) };
}

/** Whether `selection` names a unit of this report. */
export function exists(report, selection) {
  const { model = 0, layer, unit } = Object(selection);
  const net = Number.isInteger(model) ? report.models[model]?.net : null;
  const sizes = net?.ops[place(net, layer)]?.unitSizes;
  return Boolean(sizes) && Array.isArray(unit) && unit.length === sizes.length && unit.every((i, k) => Number.isInteger(i) && i >= 0 && i < sizes[k]);
}

/** Index of the op that is called `layer` and depends on the input, or -1. */
function place(net, layer) {
  return net.ops.findIndex((op) => op.name === layer && op.seen);
}
