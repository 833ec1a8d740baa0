/**
 * Axis maps and lists of positions, read from their codes: which input positions an output position reads.
 * The twin of isopter/reads/axis.py and of the maps in isopter/reads/relation.py; the codes are written by report/page/relations.py.
 */

/** An entry of a pattern on the plane that reads nothing. */
export const NOTHING = null;

/**
 * @typedef {{jump: number, rows: Array<Array<number|null>>}} Plane  output i reads rows[i % period] + floor(i / period) * jump
 * @typedef {{starts: Int32Array, items: Int32Array}} Lists  list i is items[starts[i]] .. items[starts[i + 1]]
 * @typedef {object} AxisMap  one axis to one axis, or (kinds regroup, table, masked) a group of axes to a group
 */

/** The map of a code. @param {string|Array} code @returns {AxisMap} */
export function mapOf(code) {
  if (code === "=") return { kind: "same", plane: { jump: 1, rows: [[0]] }, grouped: false };
  if (code === "*") return { kind: "whole", plane: null, grouped: false };
  if (code === "#") return { kind: "regroup", plane: null, grouped: true };
  const [letter, ...rest] = code;
  switch (letter) {
    case "w":
      return axisMap("window", { numbers: rest, plane: windowPlane(...rest) });
    case "s":
      return axisMap("spread", { numbers: rest, plane: spreadPlane(...rest) });
    case "t":
      return axisMap("take", { rows: positions(rest[0]), plane: planeOf(rest[1]) });
    case "p":
      return axisMap("span", { lo: positions(rest[0]).items, hi: positions(rest[1]).items, plane: planeOf(rest[2]) });
    case "T":
      return { kind: "table", plane: null, grouped: true, rows: positions(rest[0]), cache: new Map() };
    case "M":
      return { kind: "masked", plane: null, grouped: true, pattern: bits(rest[0]), cache: new Map() };
    default:
      throw new Error(`The map code ${JSON.stringify(code).slice(0, 60)} is unknown: the page and the data are of different versions.`);
  }
}

function axisMap(kind, fields) {
  return { kind, grouped: false, cache: new Map(), ...fields };
}

function windowPlane(size, stride, dilation, pad) {
  return { jump: stride, rows: [Array.from({ length: size }, (_, t) => t * dilation - pad)] };
}

function spreadPlane(size, stride, dilation, pad) {
  const rows = [];
  for (let phase = 0; phase < stride; phase++) {
    const row = [];
    for (let t = 0; t < size; t++) {
      const source = phase + pad - dilation * t;
      if (source % stride === 0) row.push(source / stride);
    }
    rows.push(row.length ? row : [NOTHING]);
  }
  return { jump: 1, rows };
}

function planeOf(code) {
  return code === null || code === undefined ? null : { jump: code[0], rows: code[1] };
}

/** Positions from their differences, column after column. @returns {{shape: number[], items: Int32Array}} items row-major */
export function positions({ shape, steps }) {
  const count = shape[0] ?? 1;
  const width = steps.length / Math.max(count, 1);
  const items = new Int32Array(steps.length);
  let value = 0;
  for (let k = 0; k < steps.length; k++) {
    value += steps[k];
    items[(k % count) * width + Math.floor(k / count)] = value;
  }
  return { shape, items };
}

/**
 * Booleans, as the different slices along the first axis and which comes where.
 * @returns {{shape: number[], slice: number, different: Uint8Array, which: number[]}} `slice` entries in a slice
 */
export function bits({ shape, bits: packed, which }) {
  const bytes = fromBase64(packed);
  const slice = shape.length > 1 ? shape.slice(1).reduce((a, b) => a * b, 1) : (shape[0] ?? 1);
  const kinds = which.length ? Math.max(...which) + 1 : 0;
  const different = new Uint8Array(kinds * slice);
  for (let k = 0; k < different.length; k++) different[k] = (bytes[k >> 3] >> (7 - (k & 7))) & 1;
  return { shape, slice, different, which };
}

function fromBase64(text) {
  const raw = atob(text);
  const bytes = new Uint8Array(raw.length);
  for (let k = 0; k < raw.length; k++) bytes[k] = raw.charCodeAt(k);
  return bytes;
}

/**
 * What each output position of an axis map reads inside a tensor, borders included: lists of positions.
 * @param {AxisMap} map @param {number} nOut @param {number} nIn @returns {Lists}
 */
export function readsOf(map, nOut, nIn) {
  return remembered(map, `reads ${nOut} ${nIn}`, () => buildReads(map, nOut, nIn));
}

/** The other way round: by which output positions each input position is read. @returns {Lists} */
export function readersOf(map, nOut, nIn) {
  return remembered(map, `readers ${nOut} ${nIn}`, () => transposed(readsOf(map, nOut, nIn), nIn));
}

/**
 * The same as runs [lo, hi) instead of lists, for spans: a running sum over thousands of steps would have millions of reads.
 * @param {boolean} back  readers instead of reads @returns {{lo: Int32Array, hi: Int32Array}|null} null where they are no runs
 */
export function runsOf(map, nIn, back) {
  if (map.kind !== "span") return null;
  if (!back) return map;
  return remembered(map, `runs ${nIn}`, () => turnedRuns(map, nIn));
}

function turnedRuns({ lo, hi }, nIn) {
  for (let i = 1; i < lo.length; i++) if (lo[i] < lo[i - 1] || hi[i] < hi[i - 1] || hi[i] <= lo[i]) return null;
  if (lo.length && hi[0] <= lo[0]) return null;
  const runs = { lo: new Int32Array(nIn), hi: new Int32Array(nIn) };
  let first = 0;
  let end = 0;
  for (let at = 0; at < nIn; at++) {
    while (first < hi.length && hi[first] <= at) first++;
    while (end < lo.length && lo[end] <= at) end++;
    runs.lo[at] = first;
    runs.hi[at] = end;
  }
  return runs;
}

/** Whether every input position is read by some output. */
export function coversInput(map, nOut, nIn) {
  return remembered(map, `covers ${nOut} ${nIn}`, () => seen(runsOf(map, nIn, false) ?? readsOf(map, nOut, nIn), nIn));
}

/** Whether every output position reads something. */
export function coversOutput(map, nOut, nIn) {
  return remembered(map, `reaches ${nOut} ${nIn}`, () => seen(runsOf(map, nIn, true) ?? readersOf(map, nOut, nIn), nOut));
}

function remembered(map, key, make) {
  if (!map.cache) map.cache = new Map();
  let found = map.cache.get(key);
  if (found === undefined) map.cache.set(key, (found = make()));
  return found;
}

function seen(lists, n) {
  const marks = new Uint8Array(n);
  if (lists.lo) lists.lo.forEach((low, i) => marks.fill(1, low, Math.max(low, lists.hi[i])));
  else for (const at of lists.items) marks[at] = 1;
  return marks.every((m) => m === 1);
}

function buildReads(map, nOut, nIn) {
  const starts = new Int32Array(nOut + 1);
  const items = [];
  for (let i = 0; i < nOut; i++) {
    if (map.kind === "take") {
      const width = map.rows.shape[1];
      for (let t = 0; t < width; t++) if (map.rows.items[i * width + t] >= 0) items.push(map.rows.items[i * width + t]);
    } else if (map.kind === "span") {
      for (let at = map.lo[i]; at < map.hi[i]; at++) items.push(at);
    } else if (map.kind === "whole") {
      for (let at = 0; at < nIn; at++) items.push(at);
    } else {
      const { jump, rows } = map.plane;
      const shift = Math.floor(i / rows.length) * jump;
      for (const tap of rows[i % rows.length]) if (tap !== NOTHING && tap + shift >= 0 && tap + shift < nIn) items.push(tap + shift);
    }
    starts[i + 1] = items.length;
  }
  return { starts, items: Int32Array.from(items) };
}

/** Lists of readers from lists of reads. @param {Lists} lists @param {number} nIn @returns {Lists} */
export function transposed({ starts, items }, nIn) {
  const begins = new Int32Array(nIn + 1);
  for (const at of items) begins[at + 1]++;
  for (let i = 0; i < nIn; i++) begins[i + 1] += begins[i];
  const next = begins.slice(0, nIn);
  const turned = new Int32Array(items.length);
  for (let i = 0; i + 1 < starts.length; i++) for (let k = starts[i]; k < starts[i + 1]; k++) turned[next[items[k]]++] = i;
  return { starts: begins, items: turned };
}

/**
 * A masked map without the batch axes along which its masks do not vary (the heads of attention): those only follow.
 * @param {AxisMap} map @param {number[]} batch  sizes of the batch axes @returns {{map: AxisMap, kept: boolean[]}} per batch axis
 */
export function withoutConstantBatch(map, batch) {
  return remembered(map, `batch ${batch}`, () => {
    const kept = batch.map(() => true);
    let which = map.pattern.which;
    for (let axis = batch.length - 1; axis >= 0; axis--) {
      const inner = batch.slice(axis + 1).reduce((size, n, k) => (kept[axis + 1 + k] ? size * n : size), 1);
      const n = batch[axis];
      if (!which.every((kind, at) => kind === which[Math.floor(at / (n * inner)) * n * inner + (at % inner)])) continue;
      kept[axis] = false;
      which = which.filter((_, at) => Math.floor(at / inner) % n === 0);
    }
    const shape = map.pattern.shape.with(0, which.length);
    return { map: { ...map, cache: new Map(), pattern: { ...map.pattern, which, shape } }, kept };
  });
}

/**
 * How to look up a grouped map (table, masked) cell by cell, row-major over its axes, forward or (`back`) as readers of an input cell.
 * @param {AxisMap} map @param {number} nIn  cells of the input group @param {boolean} back
 * @returns {(cell: number, into: {items: Int32Array, from: number, to: number, shift: number}) => void}
 */
export function listing(map, nIn, back) {
  if (map.kind === "table") {
    const lists = remembered(map, `table ${back} ${nIn}`, () => (back ? transposed(tableLists(map.rows), nIn) : tableLists(map.rows)));
    return (cell, into) => {
      into.items = lists.items;
      into.from = lists.starts[cell];
      into.to = lists.starts[cell + 1];
      into.shift = 0;
    };
  }
  const { which } = map.pattern;
  const [, count, width] = map.pattern.shape;
  const [inner, outer] = back ? [width, count] : [count, width];
  const kinds = remembered(map, `masked ${back}`, () => maskedLists(map.pattern, back));
  return (cell, into) => {
    const batch = Math.floor(cell / inner);
    const lists = kinds[which[batch]];
    into.items = lists.items;
    into.from = lists.starts[cell - batch * inner];
    into.to = lists.starts[cell - batch * inner + 1];
    into.shift = batch * outer;
  };
}

function tableLists({ shape, items: rows }) {
  const starts = new Int32Array(shape[0] + 1);
  const items = [];
  for (let i = 0; i < shape[0]; i++) {
    for (let t = 0; t < shape[1]; t++) if (rows[i * shape[1] + t] >= 0) items.push(rows[i * shape[1] + t]);
    starts[i + 1] = items.length;
  }
  return { starts, items: Int32Array.from(items) };
}

function maskedLists({ shape, slice, different }, back) {
  const [, count, width] = shape;
  const found = [];
  for (let at = 0; at < different.length; at += slice) {
    const starts = new Int32Array(count + 1);
    const items = [];
    for (let i = 0; i < count; i++) {
      for (let k = 0; k < width; k++) if (different[at + i * width + k]) items.push(k);
      starts[i + 1] = items.length;
    }
    const lists = { starts, items: Int32Array.from(items) };
    found.push(back ? transposed(lists, width) : lists);
  }
  return found;
}
