/** Which model, beside which, on what input, and whether it was verified. */

import { el, put } from "./dom.js";
import { count, sizes } from "./text.js";

export function header(node, state) {
  const { models } = state.report;
  const a = choice("Model A", models, false, (value) => state.set({ a: value }));
  const b = choice("Model B", models, true, (value) => state.set({ b: value }));
  const facts = el("span", { class: "facts" });
  const badge = el("span", { class: "badge" });
  put(
    node,
    el("h1", {}, document.title),
    el("div", { class: "models" }, el("label", {}, el("b", { class: "swatch-a" }, "A"), a), models.length > 1 && el("label", {}, el("b", { class: "swatch-b" }, "B"), b)),
    facts,
    badge,
    el("p", { class: "hint" }, "↑ ↓ walk the layers · drag over the feature map · click the input to ask who sees a pixel"),
  );
  state.watch((changed) => {
    if (!changed.has("a") && !changed.has("b")) return;
    a.value = String(state.view.a);
    b.value = String(state.view.b);
    const { net, verified } = state.model;
    facts.textContent = `input ${sizes(net.shape)} · ${count(net.ops.length)} ops`;
    badge.hidden = !verified;
    if (verified) {
      badge.textContent = verified.ok ? `✓ verified on ${count(verified.pairs)} pairs` : "✗ verification failed";
      badge.classList.toggle("bad", !verified.ok);
      badge.title = verified.text;
    }
  });
}

function choice(label, models, none, pick) {
  return el(
    "select",
    { "aria-label": label, onchange: (event) => pick(Number(event.target.value)) },
    none && el("option", { value: -1 }, "—"),
    models.map((model, index) => el("option", { value: index }, model.title)),
  );
}
