/** A and B in numbers. */

import { el, put } from "./dom.js";
import { frame } from "./panel.js";

export function compare(node, state) {
  const { title, body } = frame(node, state, "Compare", { csv: () => [["", ...columns().map((m) => m.title)], ...rows()] });
  const columns = () => [state.model, state.other].filter(Boolean);
  const rows = () => state.model.table.map(([name, own], k) => [name, own, ...(state.other ? [state.other.table[k]?.[1] ?? ""] : [])]);
  state.watch((changed) => {
    if (!changed.has("a") && !changed.has("b")) return;
    title.textContent = state.other ? "Compare" : "In numbers";
    put(
      body,
      el(
        "table",
        {},
        el("thead", {}, el("tr", {}, el("td", {}), columns().map((model, k) => el("th", { scope: "col", class: k ? "of-b" : "of-a" }, model.title)))),
        el("tbody", {}, rows().map(([name, ...cells]) => el("tr", { class: new Set(cells).size > 1 ? "differs" : null }, el("th", { scope: "row" }, name), cells.map((cell) => el("td", {}, cell))))),
      ),
    );
  });
}
