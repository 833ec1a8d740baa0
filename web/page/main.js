/** The report: reads its data, then lets every panel draw itself. */

import { forgetColors } from "./dom.js";
import { read } from "./report.js";
import { State } from "./state.js";
import { header } from "./header.js";
import { rail } from "./rail.js";
import { stage } from "./stage/stage.js";
import { numbers } from "./numbers.js";
import { findings } from "./findings.js";
import { compare } from "./compare.js";
import { growth } from "./growth.js";
import { paths } from "./paths.js";
import { coverage } from "./coverage.js";
import { whatIf } from "./whatif.js";
import { how } from "./how.js";
import { framed } from "./frame.js";

const PANELS = { header, rail, stage, numbers, findings, compare, growth, paths, coverage, "what-if": whatIf, how };

async function start() {
  const report = await read(document.getElementById("data"));
  const state = new State(report);
  state.follow(location.hash);
  const opening = Object.entries(PANELS).map(([id, panel]) => panel(document.getElementById(id), state));
  const redraw = () => {
    forgetColors();
    state.refresh();
  };
  // Of the event, not of the page: the link that is written after a pause may have taken its place already.
  addEventListener("hashchange", ({ newURL }) => state.follow(new URL(newURL).hash));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
  const stage = document.getElementById("stage");
  let width = stage.clientWidth;
  new ResizeObserver(() => {
    if (stage.clientWidth === width) return; // only its height, which is what the panels themselves give it
    width = stage.clientWidth;
    redraw();
  }).observe(stage);
  addEventListener("beforeprint", () => (redraw(), state.settle()));
  state.begin();
  framed(state);
  await Promise.all(opening); // the picture is decoded when the browser has time for it
  state.settle();
  document.documentElement.dataset.ready = "true";
}

start().catch((error) => {
  const note = document.getElementById("failure");
  note.textContent = `This report cannot be shown: ${error.message}. It needs a browser of 2023 or later with scripts allowed.`;
  note.hidden = false;
  throw error;
});
