/** What if this layer's kernel, dilation or stride were another, or the input larger? From the graph alone; what that assumes is said. */

import { el, put } from "./dom.js";
import { frame } from "./panel.js";
import { count, metric, percent, sizes } from "./text.js";

const RANGES = { kernel: [1, 15], dilation: [1, 16], stride: [1, 4] };

export function whatIf(node, state) {
  const { remark, body } = frame(node, state, "What if…");
  const answer = el("div", { class: "answer", "aria-live": "polite" });
  const code = el("textarea", { class: "code", readonly: true, rows: 2, "aria-label": "The change as Python code", hidden: true });
  let edits = {};
  let input = null;

  function sliders() {
    const { op, net } = state;
    const at = state.view.op; // whose sliders these are, also while the frame that draws another layer's is late
    const own = op.window;
    remark.textContent = op.name;
    const kinds = own ? (op.kind === "pool" ? ["kernel", "stride"] : ["kernel", "dilation", "stride"]) : [];
    put(
      body,
      !own && el("p", { class: "empty" }, "Pick a convolution or a pooling for its kernel, dilation and stride."),
      kinds.map((kind) => {
        const now = edits[layer(at)]?.[kind] ?? own[kind][0];
        const [low, high] = RANGES[kind];
        return slider(kind, now, low, Math.max(high, own[kind][0]), (n) => change(at, kind, n));
      }),
      slider("input size", input ?? net.image[0], Math.max(1, Math.round(net.image[0] / 4)), net.image[0] * 4, (n) => ((input = n === net.image[0] ? null : n), answerNow()), step(net.image[0])),
      answer,
      el("p", { class: "actions" }, el("button", { type: "button", class: "quiet", onclick: copy }, "Copy as code"), el("button", { type: "button", class: "quiet", onclick: () => (forget(), sliders()) }, "Reset")),
      code,
    );
  }

  function slider(label, value, min, max, set, by = 1) {
    const shown = el("output", {}, String(value));
    const range = el("input", { type: "range", min, max, value, step: by, "aria-label": label, oninput: () => ((shown.textContent = range.value), set(Number(range.value))) });
    return el("label", { class: "slider" }, el("span", {}, label), range, shown);
  }

  function change(at, kind, n) {
    const { window } = state.net.ops[at];
    const own = { ...edits[layer(at)], [kind]: n };
    if (n === window[kind][0] && new Set(window[kind]).size === 1) delete own[kind];
    edits = { ...edits, [layer(at)]: own };
    if (!Object.keys(own).length) delete edits[layer(at)];
    answerNow();
  }

  /** The first call of a layer: edits are kept by it, as they change all calls. */
  const layer = (op) => state.net.calls(op)[0];

  /** The input size of the slider, per axis. */
  const imageThen = () => state.net.image.map((n) => Math.max(1, Math.round((n * input) / state.net.image[0])));

  function forget() {
    edits = {};
    input = null;
    code.hidden = true;
    answerNow();
  }

  function answerNow() {
    const { net, model } = state;
    if (!Object.keys(edits).length && input === null) {
      state.imagine(null);
      return put(answer, el("p", { class: "note" }, "Move a slider: the dashed curve is the edited network."));
    }
    const wide = Object.fromEntries(Object.entries(edits).map(([op, own]) => [op, Object.fromEntries(Object.entries(own).map(([kind, n]) => [kind, net.ops[op].window[kind].map(() => n)]))]));
    const { net: ghost, broken, notes } = net.whatIf({ edits: wide, inputSize: input === null ? undefined : imageThen() });
    state.imagine(ghost ? { net: ghost } : null);
    if (broken) return put(answer, el("p", { class: "broken" }, el("b", {}, broken.name), ` stops matching: ${broken.why}`));
    const out = [...model.rows].reverse().find((row) => net.ops[row.op].unitSizes.length && model.size(row.op) !== Infinity)?.op ?? state.view.op;
    put(
      answer,
      el("table", {}, el("thead", {}, el("tr", {}, el("td", {}), el("th", { scope: "col" }, "now"), el("th", { scope: "col" }, "then"))), el("tbody", {}, facts(net, ghost, out).map(([name, ...cells]) => el("tr", { class: cells[0] === cells[1] ? null : "differs" }, el("th", { scope: "row" }, name), cells.map((c) => el("td", {}, c)))))),
      notes.map((note) => el("p", { class: "note assumed" }, `${note}.`)),
    );
    if (!code.hidden) code.value = asCode();
  }

  function facts(net, ghost, out) {
    const name = net.ops[out].name;
    const both = (ask) => [net, ghost].map(ask);
    return [
      [`size of ${name}`, ...both((n) => sizes(n.ops[out].size, true))],
      ["stride", ...both((n) => sizes(n.ops[out].stride, true))],
      ["shape", ...both((n) => sizes(n.ops[out].shape))],
      ["density", ...both((n) => density(n, out))],
      ["multiply-adds", ...both((n) => known(n.cost(), metric, "macs"))],
      ["weights", ...both((n) => known(n.cost(), count, "weights"))],
    ];
  }

  function asCode() {
    const names = Object.entries(edits).map(([op, own]) => `${JSON.stringify(state.net.ops[op].name)}: dict(${Object.entries(own).map(([k, n]) => `${k}=${n}`).join(", ")})`);
    return `analysis.what_if({${names.join(", ")}}${input === null ? "" : sizeAsCode(state.net, imageThen())})`;
  }

  async function copy() {
    code.value = asCode();
    code.hidden = false;
    code.select();
    try {
      await navigator.clipboard.writeText(code.value);
    } catch {
      // a page opened from disk or in a sandbox may not write there: the text is selected instead
    }
  }

  state.watch((changed) => {
    if (changed.has("a")) {
      forget();
      sliders();
    } else if (changed.has("op")) {
      sliders();
      answerNow();
    }
  });
}

function step(n) {
  return n >= 128 ? 8 : 1;
}

function density(net, op) {
  const { unitSizes } = net.ops[op];
  const set = net.pull(op, unitSizes.map((n) => n >> 1), { clip: !net.ops[op].plane });
  return set ? percent(set.count / set.shape.reduce((p, n) => p * n, 1)) : "–";
}

/** One of the costs; a lower bound where ops do not tell theirs. */
const known = (cost, show, key) => `${cost.unknown.length ? "≥ " : ""}${show(cost[key])}`;

/** The input's shape with other sizes along space, as arguments; with its name where it is not the model's first input. */
function sizeAsCode({ shape, axes, origin, ops }, image) {
  const sizes = shape.map((n, axis) => (axes.includes(axis) ? image[axes.indexOf(axis)] : n));
  const first = ops.findIndex((op) => op.kind === "input") === origin;
  return `, input_size=(${sizes.join(", ")}${sizes.length === 1 ? "," : ""})${first ? "" : `, input=${JSON.stringify(ops[origin].name)}`}`;
}
