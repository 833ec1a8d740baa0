/** The parts of the page that need no page: lanes and lines of the rail, words for numbers, sizes of objects, CSV. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { powers, steps } from "../page/chart.js";
import { bins, parse } from "../page/coverage.js";
import { cut } from "../page/dom.js";
import { grouping, lanes, lines } from "../page/lanes.js";
import { table } from "../page/panel.js";
import { cellOf, gridOf, unitAt } from "../page/stage/featuremap.js";
import { planeOf } from "../page/stage/look.js";
import { frameOf } from "../page/stage/plane.js";
import { count, largest, metric, number, percent, pixels, sizes, value } from "../page/text.js";

test("arcs in one lane never pass each other", () => {
  const arcs = [{ from: 0, to: 3 }, { from: 1, to: 3 }, { from: 3, to: 6 }, { from: 0, to: 6 }, { from: 4, to: 9 }, { from: 2, to: 5 }];
  const placed = lanes(arcs);
  assert.equal(placed.length, arcs.length);
  for (const p of placed) {
    for (const q of placed) {
      if (p !== q && p.lane === q.lane) assert.ok(p.to <= q.from || q.to <= p.from, JSON.stringify([p, q]));
    }
  }
  assert.equal(placed.find((arc) => arc.from === 1).lane, 0, "short arcs lie inside");
  assert.deepEqual(lanes([]), []);
});

const ROWS = ["stem", "a.0", "a.1", "b.0", "b.1", "c.0", "head"].map((label, k) => ({ op: 10 * k, label, parents: k ? [k - 1] : [] }));

test("rows fall into groups by module", () => {
  const groupOf = grouping(ROWS);
  assert.deepEqual(ROWS.map(groupOf), ["", "a", "a", "b", "b", "c", ""]);
  assert.deepEqual(["x", "y"].map((label) => grouping([{ label }])({ label })), ["", ""]);
});

test("folded groups are one line, which stands for its last row", () => {
  const groupOf = grouping(ROWS);
  const open = lines(ROWS, groupOf, new Set());
  assert.deepEqual(open.lines.map((line) => line.head ?? line.label), ["stem", "a", "a.0", "a.1", "b", "b.0", "b.1", "c", "c.0", "head"]);
  assert.deepEqual(open.arcs, [], "rows in a chain need no arcs, though heads stand between them");
  const folded = lines(ROWS, groupOf, new Set(["a", "b"]));
  assert.deepEqual(folded.lines.map((line) => line.head ?? line.label), ["stem", "a", "b", "c", "c.0", "head"]);
  assert.equal(folded.lines[1].last, 20);
  assert.equal(folded.lines[1].rows, 2);
});

test("a skip is an arc, also from inside a folded group", () => {
  const rows = structuredClone(ROWS);
  rows[5].parents = [4, 1];
  const open = lines(rows, grouping(rows), new Set());
  assert.deepEqual(open.arcs, [{ from: 2, to: 8 }]);
  const folded = lines(rows, grouping(rows), new Set(["a", "b"]));
  assert.deepEqual(folded.arcs, [{ from: 1, to: 4 }]);
});

test("numbers in words", () => {
  assert.deepEqual([3, -3, "inf", -Infinity, null, "1/2"].map(pixels), ["3", "−3", "∞", "−∞", "–", "1/2"]);
  assert.equal(sizes([7, 7], true), "7");
  assert.equal(sizes([7, 9], true), "7×9");
  assert.equal(sizes([7, 7]), "7×7");
  assert.deepEqual([0, 0.0004, 0.012, 0.735, 0.99999, 1, null, NaN].map(percent), ["0 %", "< 0.1 %", "1.2 %", "73.5 %", "> 99.9 %", "100 %", "–", "–"]);
  assert.deepEqual([0, 999, 12345, 2n ** 80n].map(count), ["0", "999", "12,345", "1.2 × 10²⁴"]);
  assert.deepEqual([0.12345, 12.345, 1234.5, -0.5, NaN, Infinity].map(number), ["0.123", "12.3", "1235", "-0.5", "–", "∞"]);
  assert.deepEqual([0, 999, 1813561344, 5e15].map(metric), ["0", "999", "1.81 G", "5000 T"]);
  assert.deepEqual([4, "1/2", "inf", "-inf"].map(value), [4, 0.5, Infinity, -Infinity]);
  assert.ok(Number.isNaN(value(null)));
  assert.equal(largest([3, "inf"]), Infinity);
});

test("both ends of a long name stay, and no letter is torn", () => {
  assert.equal(cut("short", 10), "short");
  assert.equal(cut("layer4.1.downsample.conv", 11), "layer….conv");
  assert.equal([...cut("💀".repeat(40), 9)].length, 9);
  assert.ok(cut("💀".repeat(40), 9).isWellFormed());
});

test("annotations: crowds, empty boxes and what is no box are left out", () => {
  const annotations = [
    { bbox: [0, 0, 10, 4] }, { bbox: [0, 0, 4, 9.2] }, { bbox: [0, 0, 7, 3], iscrowd: 1 }, { bbox: [0, 0, 0, 3] }, { bbox: [1, 2, 3] }, { bbox: [0, 0, "a", 3] }, null, 5, {},
  ];
  assert.deepEqual(parse({ annotations }), { sides: [[10, 2]], scaled: false });
  const images = [{ id: 1, height: 100, width: 200 }];
  const box = { image_id: 1, bbox: [0, 0, 100, 20] };
  assert.deepEqual(parse({ annotations: [box], images }, [50, 50]), { sides: [[25, 1]], scaled: true });
  assert.deepEqual(parse({ annotations: [box, { bbox: [0, 0, 3, 3] }], images }, [50, 50]).scaled, false);
  for (const wrong of [null, [], {}, { annotations: {} }, { annotations: [] }, { annotations: [{ bbox: [0, 0, Infinity, 1] }] }]) assert.throws(() => parse(wrong));
});

test("bins hold every object once", () => {
  const sides = [[1, 2], [2, 1], [3, 4], [100, 5], [1000, 1]];
  const found = bins(sides);
  assert.equal(found.reduce((sum, bin) => sum + bin.count, 0), 13);
  assert.equal(found[0].size, 1);
  assert.ok(found.every((bin, k) => k === 0 || bin.size > found[k - 1].size));
  assert.equal(bins([[8, 1]]).length, 1);
});

test("CSV: commas, quotes, lines and formulas", () => {
  assert.equal(table([["a,b", 'say "x"', "two\nlines", 5, null, undefined, ""]]), '"a,b","say ""x""","two\nlines",5,,,\r\n');
  assert.equal(table([["=1+1", "+x", "@x", "-x", "-5", "−5", "-"]]), "'=1+1,'+x,'@x,'-x,-5,−5,-\r\n");
  assert.equal(table([["-1+cmd|' /C calc'!A1", " =1", "-1.5", "-∞"]]), "'-1+cmd|' /C calc'!A1,' =1,-1.5,-∞\r\n");
});

test("ticks are round and within the top", () => {
  assert.deepEqual(powers(1), [1]);
  assert.ok(powers(1e6).length <= 7 && powers(1e6).at(-1) <= 1e6);
  assert.deepEqual(steps(7), [0, 2, 4, 6]);
  assert.deepEqual(steps(0), [0]);
});

test("cells of the map and units are the same things", () => {
  for (const [unitSizes, image] of [[[3, 5], [9, 9]], [[2, 3, 5], [9, 9, 9]], [[11], [9, 9]], [[40], [100]], [[], [9, 9]]]) {
    const op = { unitSizes };
    const grid = gridOf(op, image);
    const unit = unitSizes.map((n) => n - 1);
    const [row, column] = cellOf(grid, unit);
    assert.deepEqual(unitAt(grid, op, unit, row, column), unit);
    if (unitSizes.length) assert.equal(unitAt(grid, op, unit, grid.rows, 0), null);
  }
  assert.equal(unitAt(gridOf({ unitSizes: [11] }, [9, 9]), { unitSizes: [11] }, [0], 2, 3), null, "the last row is not full");
});

test("a plane through a set, or none beside it", () => {
  const set = { mask: Uint8Array.from({ length: 24 }, (_, k) => k), shape: [2, 3, 4], origin: [5, 6, 7] };
  const plane = planeOf(set, [1, 2], [6, 0, 0]);
  assert.deepEqual([plane.base, plane.height, plane.width, plane.rows, plane.columns, plane.top, plane.left], [12, 3, 4, 4, 1, 6, 7]);
  assert.equal(planeOf(set, [1, 2], [7, 0, 0]), null);
  assert.equal(planeOf(null, [0, 1], [0, 0]), null);
});

test("the view holds the box, whatever its shape, and never less than some pixels", () => {
  for (const [size, box, zoom] of [[[9, 9], [[-3, 4], [2, 30]], true], [[100, 20], [[5, 6], [5, 6]], true], [[100, 20], [[0, 0], [0, 0]], true], [[64, 64], [[-400, 500], [3, 4]], false]]) {
    const [top, left, height, width] = frameOf(size, box, zoom, 1.5);
    assert.ok(Math.abs(width / height - 1.5) < 1e-9 && height >= 6);
    if (zoom && box[0][1] > box[0][0]) assert.ok(top <= box[0][0] && left <= box[1][0] && top + height >= box[0][1] && left + width >= box[1][1]);
    else assert.ok(top <= 0 && left <= 0 && top + height >= size[0] && left + width >= size[1]);
  }
});
