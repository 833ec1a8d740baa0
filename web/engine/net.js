/** A network of the report, and every question the page asks about it. */

import { extents } from "./extents.js";
import { paths } from "./paths.js";
import { boxOf, onUnits, overSpace, overUnits, pullBack, pushOn } from "./pull.js";
import { exposure, paddingShare, spanOf } from "./exposure.js";
import { cost } from "./cost.js";
import { callsOf, whatIf } from "./whatif/whatif.js";

/** One network: plain data with relations read, and the walks over it. Positions are 0-based, boxes half-open, in input pixels. */
export class Net {
  /** @param {object} fields  name, origin, shape, axes, ops, relations, outputs, layers, issues */
  constructor(fields) {
    Object.assign(this, fields);
    this.image = this.axes.map((axis) => this.shape[axis]);
    for (const op of this.ops) op.unitSizes = op.units.map((axis) => op.shape[axis]);
  }

  /** Whether `op` depends on the input. @param {number} op */
  depends(op) {
    return op === this.origin || this.ops[op].edges.length > 0;
  }

  /** Whether a question about `op` must follow reads through summaries: they are asked for, or nothing else is read. */
  followsContext(op, context) {
    const { context: has, whole } = this.ops[op];
    return Boolean(has && (context || whole));
  }

  /**
   * The exact set of input pixels that one unit of `op` reads, holes included; with `clip: false` on the plane, padding included
   * (only for ops whose `plane` is true).
   * @param {number} op @param {number[]} unit @param {{context?: boolean, clip?: boolean}} [how]
   * @returns {{mask: Uint8Array, shape: number[], origin: number[], count: number}|null} null where nothing is read
   */
  pull(op, unit, { context = false, clip = true } = {}) {
    const blocks = this.#blocks(op, unit, context, clip);
    return blocks && overSpace(this, blocks);
  }

  /**
   * The box of input pixels that one unit of `op` reads (lo == hi == 0 where it reads nothing), the same box on the plane (null where
   * there is none; ±Infinity possible), and the share of that box that is padding.
   * @param {number} op @param {number[]} unit @param {{context?: boolean}} [how]
   * @returns {{lo: number[], hi: number[], unclipped: number[][]|null, paddingShare: number|null}}
   */
  region(op, unit, { context = false } = {}) {
    const blocks = this.#blocks(op, unit, context, true);
    const none = this.axes.map(() => 0);
    const { lo, hi } = blocks ? boxOf(this, blocks) : { lo: none, hi: [...none] };
    const unclipped = context && this.ops[op].context ? null : this.unclipped(op, unit);
    return { lo, hi, unclipped, paddingShare: unclipped && paddingShare(unclipped, this.image) };
  }

  /** The box of one unit on the plane, per axis [lo, hi); null where there is no plane. */
  unclipped(op, unit) {
    const { basis, extent, units } = this.ops[op];
    if (basis === "input") return null;
    return extent.map((value) => {
      if (value === "inf") return [-Infinity, Infinity];
      return spanOf(value, unit[units.indexOf(value.c)]);
    });
  }

  /**
   * What one unit of `op` reads of every layer below it, as sets of their units; the unit itself too.
   * @param {number} op @param {number[]} unit @param {{context?: boolean}} [how]
   * @returns {Map<number, {mask: Uint8Array, shape: number[], origin: number[]}>} by op
   */
  trace(op, unit, { context = false } = {}) {
    const read = new Map();
    const visit = (target, blocks) => read.set(target, onUnits(this.ops[target], blocks));
    const image = this.#blocks(op, unit, context, true, visit);
    if (image) read.set(this.origin, onUnits(this.ops[this.origin], image));
    return read;
  }

  /**
   * For every op, which of its units an input pixel can reach; null for ops that do not depend on the input.
   * @param {number[]} pixel @returns {Array<{mask: Uint8Array, shape: number[]}|null>}
   */
  reach(pixel) {
    const local = pushOn(this, pixel, false);
    const whole = this.ops.some((_, op) => this.followsContext(op, false)) ? pushOn(this, pixel, true) : local;
    return this.ops.map((op, index) => {
      if (!this.depends(index)) return null;
      return overUnits(op, (this.followsContext(index, false) ? whole : local)[index]);
    });
  }

  /**
   * The share of padding in the field of every unit of `op`, row-major over its units, and their mean; null where there is no plane.
   * @param {number} op @returns {{values: Float64Array, mean: number}|null}
   */
  exposure(op) {
    return exposure(this, op);
  }

  /**
   * How many routes through the network give each field size of `op` along one space axis: sizes in input pixels, ascending, counts
   * exact; `unbounded` counts routes that read the whole axis.
   * @param {number} op @param {number} axis @returns {import("./paths.js").Paths}
   */
  paths(op, axis) {
    return paths(this, op, axis, this.followsContext(op, false));
  }

  /** The extent of every op on the plane, worked out anew: per op and space axis as `extent` has it; null where nothing depends on the input. */
  extents() {
    return extents(this);
  }

  /**
   * The same network with other windows or at another input size, or which op stops matching, and why.
   * @param {{edits?: Object<number, object>, inputSize?: number[]}} change  edits: by op index some of kernel, stride, dilation, padding,
   *   a number or one per space axis, for all calls of its layer; inputSize: of the image
   * @returns {{net: Net, broken: null, notes: string[]}|{net: null, broken: {op: number, name: string, why: string}, notes: string[]}}
   *   notes: what was assumed of ops at other sizes
   */
  whatIf({ edits = {}, inputSize = null }) {
    return whatIf(this, edits, inputSize, (fields) => new Net(fields));
  }

  /** The op of a layer and those of its other calls, which change with it. @param {number} op @returns {number[]} */
  calls(op) {
    return callsOf(this, op);
  }

  /** Multiply-accumulates and weights of the whole network. @returns {{macs: number, weights: number, unknown: string[]}} */
  cost() {
    return cost(this);
  }

  /** The boxes of whole ops worked out so far. @param {boolean} context @returns {Map<number, object>} */
  boxes(context) {
    return context ? this.#boxesWithContext : this.#boxes;
  }

  #boxes = new Map();
  #boxesWithContext = new Map();

  #blocks(op, unit, context, clip, visit) {
    if (!this.depends(op)) throw new RangeError(`${this.ops[op].name} does not depend on the input.`);
    const sizes = this.ops[op].unitSizes;
    if (unit.length !== sizes.length || unit.some((i, k) => !(i >= 0 && i < sizes[k]))) {
      throw new RangeError(`(${unit}) is no unit of ${this.ops[op].name}, which has ${sizes.join(" x ")} units.`);
    }
    if (!clip && !this.ops[op].plane) throw new RangeError(`${this.ops[op].name} has no field on the plane. Use clip: true.`);
    return pullBack(this, op, unit, { context: this.followsContext(op, context), clip, visit });
  }
}
