/** The layers in the order they run: skip connections, how far each sees, how much of that it uses. */

import { cut, el, put, svg } from "./dom.js";
import { frame } from "./panel.js";
import { grouping, lanes, lines } from "./lanes.js";
import { number, pixels, sizes } from "./text.js";

const ROW = 21;
const LANE = 9;
const MANY = 70; // so many rows start folded

export function rail(node, state) {
  const { body } = frame(node, state, "Layers", { csv: () => csv(state.model) });
  const search = el("input", { type: "search", placeholder: "Search layers", "aria-label": "Search layers", oninput: () => build() });
  const list = el("div", { class: "tree", role: "tree", tabindex: 0, "aria-label": "Layers" });
  put(body, search, el("p", { class: "legend" }, el("i", { class: "key size" }), "size, log scale", el("i", { class: "key tick-key" }), "effective 95 %", el("i", { class: "key edge-key" }), "input"), list);
  let folded = new Set();
  let groupOf = () => "";
  let shown = [];

  function fresh() {
    const { rows } = state.model;
    groupOf = grouping(rows);
    const own = rows[state.model.rowOf(state.view.op)];
    folded = new Set(rows.length > MANY ? rows.map(groupOf).filter((name) => name && name !== (own && groupOf(own))) : []);
    search.value = "";
    build();
  }

  function build() {
    const { model } = state;
    const query = search.value.trim().toLowerCase();
    const kept = query ? model.rows.filter((row) => row.label.toLowerCase().includes(query)) : model.rows;
    const found = query ? { lines: kept.map((row) => ({ op: row.op, label: row.label })), arcs: [] } : lines(kept, groupOf, folded);
    const most = Math.log2(Math.max(2, ...model.net.image, ...model.rows.map((row) => finite(model.size(row.op)))) + 1);
    shown = found.lines;
    const placed = lanes(found.arcs);
    const width = 16 + LANE * (1 + Math.max(-1, ...placed.map((arc) => arc.lane)));
    list.style.setProperty("--lanes", `${width}px`);
    put(
      list,
      shown.length ? drawing(shown, placed, width) : el("p", { class: "empty" }, "No layer has that in its name."),
      shown.map((line, index) => lineOf(line, index, most)),
    );
    mark();
  }

  function lineOf(line, index, most) {
    const op = line.op ?? line.last;
    const label = line.label ?? line.head;
    const head = line.op === undefined;
    const size = state.model.size(op);
    const field = state.model.fields.get(op);
    const fold = head && el("span", { class: "fold", "aria-hidden": "true", onclick: (event) => (event.stopPropagation(), turn(line.head)) }, line.folded ? "▸" : "▾");
    const bar =
      (!head || line.folded) &&
      el(
        "span",
        { class: "bar-track" },
        el("span", { class: over(op) ? "bar over" : "bar", style: `width:${bars(size, most)}%` }),
        el("span", { class: "edge", style: `left:${bars(Math.max(...state.net.image), most)}%` }),
        field && el("span", { class: "tick", style: `left:${bars(field.side95, most)}%` }),
      );
    return el(
      "div",
      {
        id: `line-${index}`,
        class: head ? "line head" : line.inside ? "line inside" : "line",
        role: "treeitem",
        "aria-level": line.inside ? 2 : 1,
        "aria-expanded": head ? String(!line.folded) : null,
        "aria-label": `${label}, ${head ? `${line.rows} layers, ` : ""}size ${sizes(state.net.ops[op].size, true)} pixels`,
        title: `${label}\nsize ${sizes(state.net.ops[op].size)}, stride ${sizes(state.net.ops[op].stride)}${field ? `\neffective 95 %: ${number(field.side95)} (${field.kind})` : ""}`,
        style: `height:${ROW}px`,
        onclick: () => (head && !line.folded ? turn(line.head) : choose(index)),
      },
      el("span", { class: "name" }, fold, cut(line.inside ? label.slice(line.inside.length + 1) : label, 30)),
      bar,
    );
  }

  function over(op) {
    return state.net.ops[op].size.some((s, k) => pixels(s) === "∞" || s > state.net.image[k]);
  }

  function turn(name) {
    if (!folded.delete(name)) folded.add(name);
    build();
  }

  function choose(index) {
    const line = shown[index];
    if (line && search.value) folded.delete(groupOf(line)); // what was found is still to be seen when the search is emptied
    if (line) state.set({ op: line.op ?? line.last });
  }

  function current() {
    const row = state.model.rows[state.model.rowOf(state.view.op)];
    const exact = shown.findIndex((line) => line.op === row?.op);
    if (exact >= 0) return exact;
    return row ? shown.findIndex((line) => line.head && line.folded && line.head === groupOf(row)) : -1;
  }

  function mark() {
    list.querySelector(".chosen")?.removeAttribute("aria-selected");
    list.querySelector(".chosen")?.classList.remove("chosen");
    const index = current();
    const line = list.querySelector(`#line-${index}`);
    if (!line) return list.removeAttribute("aria-activedescendant");
    line.classList.add("chosen");
    line.setAttribute("aria-selected", "true");
    list.setAttribute("aria-activedescendant", line.id);
    const [top, bottom] = [line.offsetTop - list.scrollTop, line.offsetTop + ROW - list.scrollTop];
    if (top < ROW) list.scrollTop -= ROW - top;
    else if (bottom > list.clientHeight - ROW) list.scrollTop += bottom - list.clientHeight + ROW;
  }

  function step(by) {
    const choosable = (line) => line.op !== undefined || line.folded;
    let index = current();
    do index += by;
    while (shown[index] && !choosable(shown[index]));
    if (shown[index]) choose(index);
  }

  function keys(event) {
    if (event.target.matches?.("input, select, textarea, canvas") && event.target !== search) return;
    if (event.altKey || event.ctrlKey || event.metaKey) return;
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      step(event.key === "ArrowDown" ? 1 : -1);
    } else if (event.currentTarget === list && (event.key === "Home" || event.key === "End")) {
      event.preventDefault();
      const order = event.key === "Home" ? shown.findIndex((l) => l.op !== undefined || l.folded) : shown.length - 1;
      choose(order);
    } else if (event.currentTarget === list && (event.key === "ArrowLeft" || event.key === "ArrowRight")) {
      const line = shown[current()];
      const name = line?.head ?? line?.inside;
      if (name && folded.has(name) === (event.key === "ArrowRight")) turn(name);
    }
  }

  list.addEventListener("keydown", keys);
  search.addEventListener("keydown", keys);
  document.body.addEventListener("keydown", (event) => event.target === document.body && keys(event));
  state.watch((changed) => {
    if (changed.has("a")) return fresh();
    if (!changed.has("op")) return;
    const row = state.model.rows[state.model.rowOf(state.view.op)];
    if (row && current() < 0) {
      folded.delete(groupOf(row));
      search.value = "";
      build();
    } else mark();
  });
}

function drawing(shown, placed, width) {
  const x = width - 8;
  const y = (index) => index * ROW + ROW / 2;
  const dots = shown.map((line, index) => !(line.op === undefined && !line.folded) && svg("circle", { cx: x, cy: y(index), r: 3.2, class: placed.some((arc) => arc.to === index) ? "join" : "" }));
  const arcs = placed.map(({ from, to, lane }) => {
    const left = x - LANE * (lane + 1);
    return svg("path", { d: `M${x} ${y(from)}C${left} ${y(from)} ${left} ${y(from)} ${left} ${y(from) + 12}V${y(to) - 12}C${left} ${y(to)} ${left} ${y(to)} ${x} ${y(to)}` });
  });
  return svg(
    "svg",
    { class: "lanes", width, height: shown.length * ROW, "aria-hidden": "true" },
    svg("path", { class: "spine", d: `M${x} ${y(0)}V${y(shown.length - 1)}` }),
    arcs,
    dots,
  );
}

function finite(size) {
  return Number.isFinite(size) ? size : 0;
}

function bars(size, most) {
  return Math.min(100, (100 * Math.log2(Math.max(size, 0) + 1)) / most).toFixed(1);
}

function csv(model) {
  const head = ["layer", "kind", "output", "size", "stride", "start", "exactness", "effective sigma", "effective 95 % side", "effective by"];
  return [
    head,
    ...model.rows.map(({ op, label }) => {
      const o = model.net.ops[op];
      const f = model.fields.get(op);
      return [label, o.kind, o.shape.join("x"), o.size.join("x"), o.stride.map((s) => s ?? "").join("x"), o.start.join(" "), o.exactness, f ? f.sigma.join("x") : "", f?.side95 ?? "", f?.kind ?? ""];
    }),
  ];
}
