/** Skip connections as arcs beside the rows, in as few lanes as keep them apart. */

/**
 * @param {{from: number, to: number}[]} arcs by row; only those that pass a row need a lane
 * @returns {{from: number, to: number, lane: number}[]} lanes count from the rows outwards; short arcs lie inside
 */
export function lanes(arcs) {
  const ends = [];
  return [...arcs]
    .sort((p, q) => p.to - p.from - (q.to - q.from) || p.from - q.from)
    .map(({ from, to }) => {
      let lane = ends.findIndex((taken) => taken.every((other) => other.to <= from || other.from >= to));
      if (lane < 0) lane = ends.push([]) - 1;
      ends[lane].push({ from, to });
      return { from, to, lane };
    });
}

/**
 * Rows put in groups by module, some of them folded into one line.
 * @param {{op: number, label: string, parents: number[]}[]} rows parents are rows
 * @param {(row: object) => string} groupOf "" for none @param {Set<string>} folded
 * @returns {{lines: object[], arcs: {from: number, to: number}[]}} a line is a head of a group or a row
 */
export function lines(rows, groupOf, folded) {
  const found = [];
  const lineOf = rows.map(() => -1);
  let group = "";
  rows.forEach((row, index) => {
    const own = groupOf(row);
    if (own !== group && own) found.push({ head: own, last: row.op, folded: folded.has(own), rows: 0 });
    group = own;
    const head = own ? found.findLast((line) => line.head === own) : null;
    if (head) [head.last, head.rows] = [row.op, head.rows + 1];
    if (head?.folded) lineOf[index] = found.indexOf(head);
    else lineOf[index] = found.push({ op: row.op, label: row.label, row: index, inside: own }) - 1;
  });
  const arcs = new Map();
  rows.forEach((row, index) => {
    for (const parent of row.parents) {
      const [from, to] = [lineOf[parent], lineOf[index]];
      const between = from >= 0 && from < to && found.slice(from + 1, to).some((line) => line.head === undefined || line.folded);
      if (between) arcs.set(`${from} ${to}`, { from, to });
    }
  });
  return { lines: found, arcs: [...arcs.values()] };
}

/** Names of the modules that make good groups: at the smallest depth where there are three of them or more. */
export function grouping(rows) {
  const deepest = Math.max(...rows.map((row) => row.label.split(".").length));
  for (let depth = 1; depth < deepest; depth++) {
    const of = (row) => {
      const parts = row.label.split(".");
      return parts.length > depth ? parts.slice(0, depth).join(".") : "";
    };
    const names = rows.map(of);
    if (new Set(names.filter(Boolean)).size >= 3) return of;
  }
  return () => "";
}
