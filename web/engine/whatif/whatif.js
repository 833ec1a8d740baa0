/** The same network with other windows, or at another input size. The twin of isopter/design/what_if.py. */

import { mapOf } from "../maps.js";
import { markFacts, markPlan } from "./plan.js";
import { identity, relationsOf } from "./rules.js";
import { after } from "./shapes.js";
import { Misfit } from "./windows.js";

/**
 * @param {import("../net.js").Net} net
 * @param {Object<number, object>} edits  by op index some of kernel, stride, dilation, padding: a number, or one per space axis; a layer
 *   that is called several times changes in all its calls
 * @param {number[]|null} inputSize  of the image
 * @param {(fields: object) => import("../net.js").Net} build
 * @returns {{net: import("../net.js").Net, broken: null, notes: string[]}|{net: null, broken: {op: number, name: string, why: string}, notes: string[]}}
 *   notes: what was assumed at sizes that changed, and of which op
 */
export function whatIf(net, edits, inputSize, build) {
  const wanted = spread(net, edits);
  const notes = new Set();
  const relations = [...net.relations];
  const maps = new Map();
  const make = (code) => {
    const key = code.join();
    if (!maps.has(key)) maps.set(key, mapOf(code));
    return maps.get(key);
  };
  const ops = [];
  for (const [index, op] of net.ops.entries()) {
    const before = op.inputs.map((i) => net.ops[i].shape);
    const now = op.inputs.map((i) => ops[i].shape);
    const edit = wanted.get(index) ?? null;
    try {
      if (edit && !op.window) throw new Misfit("it has no kernel, stride or dilation to edit");
      if (edit?.kernel && op.fixed) throw new Misfit("it is a fixed filter: another kernel would need other numbers in it");
      const place = { op, before, now, names: op.inputs.map((i) => net.ops[i].name), edit, units: net.ops[op.inputs[0]]?.units, notes: [] };
      const found = op.inputs.length ? after(place) : { shape: inputShape(net, index, inputSize) };
      for (const note of place.notes) notes.add(`${note} (${op.name})`);
      ops.push(editedOp(net, op, found, before, now, edit, relations, make));
    } catch (error) {
      if (error instanceof Misfit) return { net: null, broken: { op: index, name: op.name, why: error.message }, notes: [] };
      throw error;
    }
  }
  const { name, origin, axes, outputs, layers } = net;
  const fresh = [...notes].filter((note) => !net.issues.includes(note));
  const fields = { name, origin, axes, outputs, layers, issues: [...net.issues, ...fresh], shape: ops[origin].shape, ops, relations };
  markPlan(fields);
  const found = build(fields);
  markFacts(found);
  return { net: found, broken: null, notes: [...notes] };
}

/** The op of a layer and those of its other calls, in order: they share its weights. @returns {number[]} */
export function callsOf({ ops, layers }, op) {
  const { name } = ops[op];
  if (layers[name] !== op) return [op];
  const calls = Object.entries(layers).filter(([other]) => layerOf(other) === layerOf(name));
  return [...new Set(calls.map(([, index]) => index))].sort((a, b) => a - b);
}

/** A module path without what it says of its call: that of head#2 is head. */
const layerOf = (name) => name.replace(/#\d+(?=\.|$)/g, "");

function spread(net, edits) {
  const wanted = new Map();
  for (const [op, edit] of Object.entries(edits)) {
    for (const call of callsOf(net, Number(op))) {
      if (wanted.has(call)) throw new RangeError(`edits name ${net.ops[call].name} twice.`);
      wanted.set(call, edit);
    }
  }
  return wanted;
}

function inputShape(net, index, inputSize) {
  const shape = [...net.ops[index].shape];
  if (inputSize && index === net.origin) {
    net.axes.forEach((axis, k) => {
      if (!(Number.isInteger(inputSize[k]) && inputSize[k] > 0)) throw new Misfit(`an input of ${inputSize.join(" x ")} pixels is none`);
      shape[axis] = inputSize[k];
    });
  }
  return shape;
}

/** The op with its new shape and numbers, and edges by what it reads now; edges still to be marked local or not. */
function editedOp(net, op, found, before, now, edit, relations, make) {
  const { name, kind, source, module, inputs, leaked, fixed } = op;
  const fresh = { name, kind, source, module, inputs, leaked, fixed, params: op.params, shape: found.shape };
  if (op.window) fresh.window = found.window ?? op.window;
  if (found.params) fresh.params = found.params;
  const unchanged = !edit && before.every((shape, k) => shape.every((n, axis) => n === now[k][axis]));
  fresh.edges = unchanged ? op.edges.map((edge) => [...edge]) : edgesOf(net, op, fresh, now, relations, make);
  return fresh;
}

function edgesOf(net, op, fresh, now, relations, make) {
  const old = op.edges.map(([source, place]) => (place < 0 ? identity(net.ops[source].shape.length) : net.relations[place]));
  const rebuilt = relationsOf(fresh, now, old, make);
  const shapes = new Map(fresh.inputs.map((source, k) => [source, now[k]]));
  const pairs = rebuilt
    ? fresh.inputs.flatMap((source, k) => (net.depends(source) ? rebuilt[k].map((relation) => [source, relation, -1]) : []))
    : op.edges.map(([source, place], k) => [source, old[k], place]);
  return pairs.map(([source, relation, known]) => {
    if (isPlain(relation, shapes.get(source), fresh.shape)) return [source, -1, 1];
    return [source, known >= 0 ? known : relations.push(relation) - 1, 1];
  });
}

function isPlain({ links, unread }, shapeIn, shapeOut) {
  return (
    !unread &&
    shapeIn.length === shapeOut.length &&
    shapeIn.every((n, axis) => n === shapeOut[axis]) &&
    links.length === shapeIn.length &&
    links.every(({ map, ins, outs }, axis) => map.kind === "same" && ins[0] === axis && outs[0] === axis)
  );
}
