/**
 * The engine against the Python walks: every answer in the fixtures (tests/page_fixtures.py), without a single difference.
 * ISOPTER_FIXTURES is the folder they were written to; `make web-test` and tests/test_page_engine.py see to that.
 */

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";

import { load } from "../engine/index.js";

const folder = process.env.ISOPTER_FIXTURES;
const compared = { units: 0, masks: 0, paths: 0, exposures: 0, extents: 0, edits: 0, broken: 0 };

test("ISOPTER_FIXTURES holds fixtures", () => {
  assert.ok(folder, "Set ISOPTER_FIXTURES to the folder that `python tests/page_fixtures.py FOLDER` wrote to, or run `make web-test`.");
  assert.ok(readdirSync(folder).length, `${folder} is empty`);
});

for (const file of folder ? readdirSync(folder).sort() : []) {
  test(file.replace(".json", ""), () => {
    const fixture = JSON.parse(readFileSync(join(folder, file), "utf8"));
    const net = load(fixture.graph);
    fixture.units.forEach((expected) => compareUnit(net, expected));
    fixture.reach.forEach((expected) => compareReach(net, expected));
    fixture.paths.forEach((expected) => comparePaths(net, expected));
    fixture.exposure.forEach((expected) => compareExposure(net, expected));
    fixture.whatIf.forEach((expected) => compareWhatIf(net, expected));
    compareExtents(net, fixture.graph.ops);
    assert.deepEqual(net.cost(), fixture.cost, "cost");
  });
}

test("count", () => {
  console.log(`compared ${Object.entries(compared).map(([what, count]) => `${count} ${what}`).join(", ")}`);
  assert.ok(!folder || compared.units > 0, "no unit was compared");
});

const number = (value) => (value === "inf" ? Infinity : value === "-inf" ? -Infinity : value === "nan" ? NaN : value);

const digest = ({ mask, shape }) => ({
  shape,
  count: mask.reduce((sum, held) => sum + held, 0),
  digest: createHash("sha256").update(mask).digest("hex").slice(0, 16),
});

function compareUnit(net, expected) {
  const where = `${net.ops[expected.op].name} (${expected.unit}) ${JSON.stringify(expected.how)}`;
  const found = net.pull(expected.op, expected.unit, expected.how);
  assert.deepEqual(found && { origin: found.origin, ...digest(found) }, expected.support, where);
  if (found) assert.equal(found.count, expected.support.count, where);
  const region = net.region(expected.op, expected.unit, expected.how);
  const unclipped = expected.unclipped && expected.unclipped.map((side) => side.map(number));
  assert.deepEqual(region, { lo: expected.lo, hi: expected.hi, unclipped, paddingShare: number(expected.paddingShare) }, where);
  compared.units++;
}

function compareReach(net, expected) {
  const found = net.reach(expected.pixel);
  found.forEach((units, op) => {
    assert.deepEqual(units && digest(units), expected.ops[op] ?? null, `${net.ops[op].name} from pixel (${expected.pixel})`);
    compared.masks++;
  });
}

function comparePaths(net, { op, axis, ...expected }) {
  const found = net.paths(op, axis);
  const written = { ...found, counts: found.counts.map(String), unbounded: String(found.unbounded), total: String(found.total) };
  assert.deepEqual(written, { ...expected, mean: number(expected.mean), sd: number(expected.sd) }, `paths of ${net.ops[op].name}, axis ${axis}`);
  compared.paths++;
}

function compareExposure(net, { op, shares }) {
  const found = net.exposure(op);
  assert.deepEqual(found && [...found.values], shares && shares.map(number), `exposure of ${net.ops[op].name}`);
  if (shares?.length) assert.ok(Object.is(found.mean, shares.map(number).reduce((a, b) => a + b, 0) / shares.length));
  compared.exposures++;
}

function compareExtents(net, ops) {
  net.extents().forEach((extent, op) => {
    assert.deepEqual(extent, ops[op].extent ?? null, `extent of ${ops[op].name}`);
    compared.extents++;
  });
}

function compareWhatIf(net, { edits, inputSize, broken, ops, units, notes, cost }) {
  const where = JSON.stringify({ edits, inputSize });
  const before = JSON.stringify(net.ops);
  const found = net.whatIf({ edits, inputSize });
  assert.equal(JSON.stringify(net.ops), before, `${where} changed the network itself`);
  if (broken) {
    assert.equal(found.net, null, where);
    assert.equal(`${found.broken.name} stops matching: ${found.broken.why}.`, broken, where);
    compared.broken++;
    return;
  }
  assert.equal(found.broken, null, where);
  assert.deepEqual(found.notes, notes, `notes of ${where}`);
  assert.deepEqual(found.net.issues, [...net.issues, ...notes], `issues of ${where}`);
  assert.deepEqual(found.net.cost(), cost, `cost of ${where}`);
  ops.forEach((expected, op) => {
    const facts = found.net.ops[op];
    const given = Object.fromEntries(Object.keys(expected).map((key) => [key, facts[key] ?? null]));
    given.edges = facts.edges.map(([source, , local]) => [source, local]);
    assert.deepEqual(given, expected, `${facts.name} after ${where}`);
  });
  units.forEach((expected) => compareUnit(found.net, expected));
  compared.edits++;
}
