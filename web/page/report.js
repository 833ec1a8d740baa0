/** What the file holds, read once: models, their rows and fields, findings, and the picture. */

import { load } from "../engine/index.js";
import { largest } from "./text.js";

/**
 * @typedef {object} Field an effective field, of one unit of a layer
 * @property {"measured"|"expected"} kind @property {number[]} unit @property {number[]} origin @property {number[]} shape of its map, in blocks
 * @property {number} step pixels of a block's side @property {Uint8Array} levels 0…63, the root of its share of the largest
 * @property {number[]} sigma @property {number} side50 @property {number} side95 @property {number|null} ratio
 */

export class Model {
  constructor(data, bytes) {
    this.net = load(data.graph);
    this.title = data.title;
    this.rows = data.rows.map(([op, label, parents]) => ({ op, label, parents }));
    this.findings = data.findings;
    this.how = data.how;
    this.verified = data.verified;
    this.table = data.table;
    for (const op of this.net.ops) op.seen = op.size !== undefined;
    this.#rowOf = new Map(this.rows.map((row, index) => [row.op, index]));
    this.fields = new Map();
    for (const given of data.fields) {
      const field = { ...given, levels: bytes.subarray(given.at, given.at + given.count) };
      const row = this.rows[this.rowOf(given.op)];
      if (row && !this.fields.has(row.op)) this.fields.set(row.op, field); // a ReLU sees what its row sees
      this.fields.set(given.op, field);
    }
    const space = this.rows.filter((row) => this.net.ops[row.op].unitSizes.length > 0 && !this.net.ops[row.op].unitSizes.includes(0));
    this.first = (space[space.length - 1] ?? this.rows[0]).op;
  }

  #rowOf;

  /** Which row shows an op, or what it changes nothing of; -1 for none. */
  rowOf(op) {
    for (let at = op; ; at = this.net.ops[at].edges[0][0]) {
      if (this.#rowOf.has(at)) return this.#rowOf.get(at);
      if (this.net.ops[at].edges.length !== 1) return -1;
    }
  }

  /** Size of an op's field, the largest over the axes; Infinity where it reads a whole axis. */
  size(op) {
    return largest(this.net.ops[op].size);
  }
}

export class Report {
  /** @param {object} data @param {Uint8Array} bytes what follows the JSON: levels of maps */
  constructor(data, bytes) {
    this.models = data.models.map((model) => new Model(model, bytes));
    this.picture = data.picture;
    this.objects = data.objects;
  }
}

/** Read the script element that holds the data: base64 of deflated (length of the JSON, the JSON, bytes). */
export async function read(element) {
  const packed = Uint8Array.from(atob(element.textContent.trim()), (c) => c.charCodeAt(0));
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate"));
  const raw = new Uint8Array(await new Response(stream).arrayBuffer());
  const length = new DataView(raw.buffer).getUint32(0, true);
  const data = JSON.parse(new TextDecoder().decode(raw.subarray(4, 4 + length)));
  return new Report(data, raw.subarray(4 + length));
}
