/** What stands out, each with the id of its rule. */

import { el, put } from "./dom.js";
import { frame } from "./panel.js";

export function findings(node, state) {
  const { remark, body } = frame(node, state, "Findings", { csv: () => [["rule", "severity", "layer", "message"], ...state.model.findings.map((f) => [f.rule, f.severity, f.layer ?? "", f.message])] });
  remark.textContent = "the same as analysis.findings()";
  state.watch((changed) => {
    if (!changed.has("a")) return;
    const { findings: found, net } = state.model;
    put(
      body,
      found.length
        ? el("ul", {}, found.map((finding) => el("li", { class: finding.severity }, el("b", {}, finding.rule), " ", finding.message, link(finding, net))))
        : el("p", { class: "empty" }, "Nothing stands out."),
    );
  });

  function link({ layer }, net) {
    const op = net.ops.findIndex((o) => o.name === layer);
    const known = op >= 0 ? op : (net.layers?.[layer] ?? -1);
    if (!layer || known < 0 || !net.ops[known].seen) return null;
    return [" ", el("button", { type: "button", class: "quiet", "aria-label": `Show ${layer}`, onclick: () => state.set({ op: known }) }, "show")];
  }
}
