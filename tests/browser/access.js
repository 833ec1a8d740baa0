// Checks of a page, without a library: each returns what it found. Read by test_report_access.py.

const INTERACTIVE = "a[href], button, input, select, textarea, [tabindex], [role=button], summary";

const visible = (node) => node.checkVisibility({ opacityProperty: true, visibilityProperty: true }) && !node.closest(".hidden, [aria-hidden=true]");

function parsed(css) {
  const numbers = css.match(/[\d.]+/g)?.map(Number) ?? [0, 0, 0, 0];
  const scale = css.startsWith("color(") ? 255 : 1;
  return { rgb: numbers.slice(0, 3).map((n) => n * scale), alpha: numbers[3] ?? 1 };
}

const over = (top, alpha, bottom) => top.map((c, k) => c * alpha + bottom[k] * (1 - alpha));

/** The colour behind a node: its own background and those of what it stands in, blended. */
function behind(node) {
  const layers = [];
  for (let at = node; at; at = at.parentElement) {
    const { rgb, alpha } = parsed(getComputedStyle(at).backgroundColor);
    layers.push([rgb, alpha]);
    if (alpha === 1) break;
  }
  const canvas = matchMedia("(prefers-color-scheme: dark)").matches ? [18, 18, 18] : [255, 255, 255];
  return layers.reverse().reduce((under, [rgb, alpha]) => over(rgb, alpha, under), canvas);
}

function luminance(rgb) {
  const [r, g, b] = rgb.map((c) => c / 255).map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}

function ratio(one, other) {
  const [high, low] = [luminance(one), luminance(other)].sort((p, q) => q - p);
  return (high + 0.05) / (low + 0.05);
}

const opacity = (node) => (node ? Number(getComputedStyle(node).opacity) * opacity(node.parentElement) : 1);

/** [text, contrast with what is behind it] of every text that can be seen; of placeholders too. */
function contrasts() {
  const found = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let text = walker.nextNode(); text; text = walker.nextNode()) {
    const node = text.parentElement;
    if (!text.data.trim() || ["SCRIPT", "STYLE", "NOSCRIPT", "TITLE", "title"].includes(node.tagName) || !visible(node)) continue;
    const style = getComputedStyle(node);
    const { rgb, alpha } = parsed(node instanceof SVGElement ? style.fill : style.color);
    const back = behind(node);
    found.push([text.data.trim().slice(0, 60), ratio(over(rgb, alpha * opacity(node), back), back)]);
  }
  for (const node of document.querySelectorAll("input[placeholder]")) {
    const { rgb, alpha } = parsed(getComputedStyle(node, "::placeholder").color);
    const back = behind(node);
    found.push([node.placeholder, ratio(over(rgb, alpha, back), back)]);
  }
  return found;
}

/** Contrast of marks with the panel behind them. Bars of the rail are not among them: their sizes are said in words. */
function graphics() {
  const marks = {
    tick: ["#rail .tick", "backgroundColor"], curve: ["#growth path.of-a", "stroke"], other: ["#growth path.of-b", "stroke"],
    count: ["#paths rect.count", "fill"], mean: ["#paths line.mean", "stroke"], effective: ["#growth circle.effective", "fill"],
  };
  const found = {};
  for (const [name, [selector, property]] of Object.entries(marks)) {
    const node = document.querySelector(selector);
    if (node) found[name] = ratio(parsed(getComputedStyle(node)[property]).rgb, behind(node.parentElement));
  }
  return found;
}

const described = (node) => `${node.tagName.toLowerCase()}${node.id ? `#${node.id}` : ""}.${node.getAttribute("class") ?? ""} ${(node.getAttribute("aria-label") ?? node.textContent ?? "").trim().slice(0, 40)}`.trim();

function nameOf(node) {
  const by = node.getAttribute("aria-labelledby")?.split(/\s+/).map((id) => document.getElementById(id)?.textContent ?? "").join(" ");
  const labels = [...(node.labels ?? [])].map((label) => label.textContent).join(" ");
  const own = ["BUTTON", "A", "SUMMARY"].includes(node.tagName) || node.getAttribute("role") === "treeitem" ? node.textContent : "";
  return [by, node.getAttribute("aria-label"), labels, own, node.getAttribute("title")].find((text) => text?.trim())?.trim() ?? "";
}

/** Controls, pictures and regions without a name. */
function nameless() {
  const all = document.querySelectorAll(`${INTERACTIVE}, canvas, svg, img, section, fieldset, [role=img], [role=application], [role=treeitem], [role=tree], dl`);
  return [...all]
    .filter((node) => node.checkVisibility() && !node.closest("[aria-hidden=true]"))
    .filter((node) => !(node.tagName === "DL" && node.closest("#how")) && !nameOf(node) && !(node.tagName === "FIELDSET" && node.querySelector("legend")?.textContent))
    .map(described);
}

/** Ids used twice, references that lead nowhere, ids referred to that are hidden rows. */
function broken() {
  const ids = [...document.querySelectorAll("[id]")].map((node) => node.id);
  const twice = ids.filter((id, k) => ids.indexOf(id) !== k);
  const lost = [...document.querySelectorAll("[aria-labelledby], [aria-describedby], [aria-activedescendant], [aria-controls], label[for]")].flatMap((node) =>
    ["aria-labelledby", "aria-describedby", "aria-activedescendant", "aria-controls", "for"].flatMap((name) => (node.getAttribute(name) ?? "").split(/\s+/).filter((id) => id && !document.getElementById(id))),
  );
  return [...twice, ...lost];
}

/** What is wrong with the tree of layers. */
function tree() {
  const root = document.querySelector("[role=tree]");
  const items = [...root.querySelectorAll("[role=treeitem]")];
  const wrong = [];
  if (!items.length) wrong.push("no items");
  for (const [k, item] of items.entries()) {
    const level = Number(item.getAttribute("aria-level"));
    const before = k ? Number(items[k - 1].getAttribute("aria-level")) : 0;
    if (!(level >= 1) || level > before + 1) wrong.push(`level ${level} after ${before}`);
    const next = items[k + 1] ? Number(items[k + 1].getAttribute("aria-level")) : 0;
    const expanded = item.getAttribute("aria-expanded");
    if (next > level && expanded !== "true") wrong.push(`${described(item)} has children and is not expanded`);
    if (expanded === "true" && next <= level) wrong.push(`${described(item)} is expanded and has no children`);
  }
  for (const child of root.children) {
    if (child.getAttribute("role") !== "treeitem" && child.getAttribute("aria-hidden") !== "true") wrong.push(`${described(child)} is no item`);
  }
  const active = root.getAttribute("aria-activedescendant");
  if (!active || !root.contains(document.getElementById(active))) wrong.push(`active descendant ${active}`);
  return wrong;
}

const place = (node) => `${node.closest(".panel, #header")?.id}/${nameOf(node)}`;

/** Everything that Tab must reach, in the order of the document. */
function reachable() {
  return [...document.querySelectorAll(INTERACTIVE)].filter((node) => node.tabIndex >= 0 && !node.disabled && visible(node)).map(place);
}

/** [where the focus is, contrast of its ring (0: none), whether it can be seen without scrolling further]. */
function focused() {
  const node = document.activeElement;
  const style = getComputedStyle(node);
  const ring = style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2;
  const box = node.getBoundingClientRect();
  const inside = box.bottom > 0 && box.top < innerHeight && box.right > 0 && box.left < innerWidth;
  return [place(node), ring ? ratio(parsed(style.outlineColor).rgb, behind(node.parentElement)) : 0, inside];
}

/** Targets under 20 pixels a side. Checkboxes are pressed by their labels. */
function small() {
  return [...document.querySelectorAll(`${INTERACTIVE}, [role=treeitem]`)]
    .filter((node) => visible(node))
    .map((node) => [node, (["checkbox", "radio", "range"].includes(node.type) && node.closest("label") ? node.closest("label") : node).getBoundingClientRect()])
    .filter(([, box]) => box.width < 20 || box.height < 20)
    .map(([node, box]) => `${described(node)} ${Math.round(box.width)}x${Math.round(box.height)}`);
}

/** Visible things that stick out of their panel sideways, beyond what scrolls. */
function outside() {
  return [...document.querySelectorAll(".panel *")]
    .filter((node) => visible(node) && !node.closest(".tree, svg") && node.getBoundingClientRect().width > 0)
    .filter((node) => {
      const [box, panel] = [node.getBoundingClientRect(), node.closest(".panel").getBoundingClientRect()];
      return box.right > panel.right + 1 || box.left < panel.left - 1;
    })
    .map(described);
}
