/** What is looked at, who wants to know of a change, and the same as a link. */

/**
 * @typedef {object} View
 * @property {number} a the model shown; @property {number} b the one beside it, -1 for none
 * @property {number} op index of the layer; @property {number[]} unit one index per unit axis
 * @property {number[]|null} pixel an input pixel whose units are shown
 * @property {{heat: boolean, set: boolean, boxes: boolean, zoom: boolean, context: boolean}} show
 * @property {number} floor share of its largest value under which an effective field is not drawn
 */

const SHOWN = ["heat", "set", "boxes", "zoom", "context"];

const PAUSE = 120; // ms without a change before the link is written: browsers refuse more than some 20 links a second

export class State {
  /** @param {import("./report.js").Report} report */
  constructor(report) {
    this.report = report;
    this.listeners = [];
    this.waiting = null;
    this.ghost = null;
    this.view = {
      a: 0,
      b: report.models.length > 1 ? 1 : -1,
      op: report.models[0].first,
      unit: [],
      pixel: null,
      show: { heat: true, set: true, boxes: true, zoom: true, context: false },
      floor: 0.004,
    };
    this.view.unit = middle(this.op);
  }

  get model() {
    return this.report.models[this.view.a];
  }

  get other() {
    return this.report.models[this.view.b] ?? null;
  }

  get net() {
    return this.model.net;
  }

  get op() {
    return this.report.models[this.view.a].net.ops[this.view.op];
  }

  /** Call `listener(changed)` with the names of what changed, at most once a frame; "look" where only width, colours or the picture did. */
  watch(listener) {
    this.listeners.push(listener);
  }

  /** Change what is looked at. @param {Partial<View>} change */
  set(change) {
    const before = this.op;
    const other = change.a !== undefined && change.a !== this.view.a;
    if (other) {
      change = { op: this.#alike(change.a), pixel: null, ...change };
      if (change.b === undefined && change.a === this.view.b) change.b = this.view.a;
    }
    Object.assign(this.view, change);
    const op = this.op;
    if (change.unit) this.view.unit = op.unitSizes.map((n, k) => clamp(change.unit[k] ?? n >> 1, n));
    else if (op !== before) this.view.unit = moved(this.view.unit, before, op);
    this.#tell(Object.keys(change));
    if (other) this.flush(); // until the next frame the panels would offer layers of a model that is gone
  }

  /** Turn one of the layers of the drawing on or off. */
  toggle(name) {
    this.set({ show: { ...this.view.show, [name]: !this.view.show[name] } });
  }

  /** The network that the what-if sliders made, or null. */
  imagine(ghost) {
    this.ghost = ghost;
    this.#tell(["ghost"]);
  }

  /** What is looked at is to be drawn anew, though it is the same. */
  refresh() {
    this.#tell(["look"]);
  }

  /** Everything is to be drawn, now: for the first time. */
  begin() {
    this.#tell(["look", "ghost", ...Object.keys(this.view)]);
    this.flush();
  }

  /** Draw now what waits for the next frame, which may be late: what the reader does next is about that. */
  settle() {
    if (this.waiting) this.flush();
  }

  #tell(names) {
    this.changed = new Set([...(this.changed ?? []), ...names]);
    this.waiting ??= requestAnimationFrame(() => this.flush());
  }

  /** Tell everybody now. */
  flush() {
    if (this.waiting) cancelAnimationFrame(this.waiting);
    this.waiting = null;
    const changed = this.changed ?? new Set();
    this.changed = new Set();
    for (const listener of this.listeners) listener(changed);
    clearTimeout(this.linking);
    this.linking = setTimeout(() => this.#link(), PAUSE);
  }

  /** The layer of another model that is most like the one shown: of the same name, or as deep. */
  #alike(a) {
    const model = this.report.models[a];
    const same = model.rows.find((row) => model.net.ops[row.op].name === this.op.name);
    if (same) return same.op;
    const share = Math.max(0, this.model.rowOf(this.view.op)) / Math.max(1, this.model.rows.length - 1);
    return model.rows[Math.round(share * (model.rows.length - 1))].op;
  }

  #link() {
    const { a, b, unit, pixel, show, floor } = this.view;
    const parts = new URLSearchParams({ a: String(a), b: String(b), layer: this.op.name, unit: unit.join(",") });
    if (pixel) parts.set("pixel", pixel.join(","));
    parts.set("show", SHOWN.filter((name) => show[name]).join(","));
    parts.set("floor", String(floor));
    try {
      history.replaceState(null, "", `#${parts}`);
    } catch {
      // a sandboxed frame has no address of its own
    }
  }

  /** Look at what a link says, as far as it fits this report. */
  follow(hash) {
    const parts = new URLSearchParams(hash.replace(/^#/, ""));
    const index = (name) => (/^-?\d+$/.test(parts.get(name) ?? "") ? Number(parts.get(name)) : null);
    const places = (name) => (/^\d+(,\d+)*$/.test(parts.get(name) ?? "") ? parts.get(name).split(",").map(Number) : null);
    const change = {};
    if (this.report.models[index("a")]) change.a = index("a");
    if (index("b") === -1 || this.report.models[index("b")]) change.b = index("b");
    const net = this.report.models[change.a ?? this.view.a].net;
    const op = net.ops.findIndex((o) => o.name === parts.get("layer"));
    if (op >= 0 && net.ops[op].seen) change.op = op;
    if (places("unit")) change.unit = places("unit");
    const pixel = places("pixel");
    if (pixel && pixel.length === net.image.length && pixel.every((p, k) => p < net.image[k])) change.pixel = pixel;
    if (parts.has("show")) change.show = Object.fromEntries(SHOWN.map((name) => [name, parts.get("show").split(",").includes(name)]));
    if (/^0(\.\d+)?$/.test(parts.get("floor") ?? "")) change.floor = Number(parts.get("floor"));
    if (Object.keys(change).length) this.set(change);
  }
}

/** The middle unit of a layer. */
export function middle(op) {
  return op.unitSizes.map((n) => n >> 1);
}

/** The unit of `to` that lies where `unit` lay in `from`. */
function moved(unit, from, to) {
  return to.unitSizes.map((n, k) => {
    const m = from.unitSizes[k];
    return m && unit[k] !== undefined ? clamp(Math.floor(((unit[k] + 0.5) * n) / m), n) : n >> 1;
  });
}

function clamp(index, n) {
  return Math.max(0, Math.min(n - 1, index));
}
