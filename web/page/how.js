/** How the numbers were made. */

import { el, put } from "./dom.js";
import { frame } from "./panel.js";

export function how(node, state) {
  const { body } = frame(node, state, "How measured");
  state.watch((changed) => {
    if (!changed.has("a")) return;
    put(body, el("dl", {}, state.model.how.map(([name, text]) => [el("dt", {}, name), el("dd", {}, text)])));
  });
}
