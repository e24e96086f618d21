// Builds elements from text and a short list of attributes: what a stranger wrote can become text, never markup.

const ATTRIBUTES = new Set(
  (
    "class id for type name title role tabindex datetime dir rows maxlength min max scope autocomplete spellcheck " +
    "viewBox x y x1 x2 y1 y2 cx cy r width height"
  ).split(" "),
);
const PROPERTIES = new Set("value checked disabled selected hidden open required htmlFor".split(" "));
const SVG_TAGS = new Set("svg rect line circle".split(" "));

// Characters without a shape of their own, which could hide words or turn a line around. Joiners are left alone
// where scripts and emoji need them.
const UNSEEN =
  /([\u0000-\u0008\u000b-\u001f\u007f-\u009f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\u3164\ufe00-\ufe0d\ufeff\uffa0\ufff0-\ufffb\u{1d173}-\u{1d17a}\u{e0000}-\u{e0fff}]|\p{Cs}|(?<=^|[\u0000-\u05ff\u2000-\u206f])[\u200c\u200d])\1*/gu;

/** Spells an unseen character, and how often it is repeated. */
function spell(run) {
  const code = run.codePointAt(0);
  const times = run.length / String.fromCodePoint(code).length;
  const name = `U+${code.toString(16).toUpperCase().padStart(4, "0")}`;
  return times > 1 ? `${name}×${times}` : name;
}

const unixLines = (text) => text.replaceAll("\r\n", "\n");

/** The text with every unseen character spelled out, for attributes. */
const spelled = (text) => unixLines(text).replace(UNSEEN, spell);

/** The text as nodes, every unseen character a visible mark. */
function textNodes(text) {
  const nodes = [];
  let from = 0;
  text = unixLines(text);
  for (const found of text.matchAll(UNSEEN)) {
    if (found.index > from) nodes.push(document.createTextNode(text.slice(from, found.index)));
    const mark = document.createElement("span");
    mark.className = "unprintable";
    mark.title = "An invisible character, spelled out";
    mark.textContent = spell(found[0]);
    nodes.push(mark);
    from = found.index + found[0].length;
  }
  if (from < text.length) nodes.push(document.createTextNode(text.slice(from)));
  return nodes;
}

function setAttribute(node, name, value) {
  if (value === undefined || value === null || value === false) return;
  if (name.startsWith("on") && typeof value === "function") node.addEventListener(name.slice(2), value);
  else if (PROPERTIES.has(name)) node[name] = value;
  else if (name === "href" && String(value).startsWith("#/")) node.setAttribute("href", value);
  else if (ATTRIBUTES.has(name) || /^(aria|data)-[a-z-]+$/.test(name)) node.setAttribute(name, spelled(String(value)));
  else throw new Error(`The desk sets no attribute ${name}`);
}

const nodesOf = (children) =>
  children
    .flat(Infinity)
    .filter((child) => child !== null && child !== undefined && child !== false)
    .flatMap((child) => (child instanceof Node ? child : textNodes(String(child))));

/** An element; strings among the children become text in which nothing is hidden. */
export function el(tag, attributes = {}, ...children) {
  const node = SVG_TAGS.has(tag)
    ? document.createElementNS("http://www.w3.org/2000/svg", tag)
    : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) setAttribute(node, name, value);
  node.append(...nodesOf(children));
  return node;
}

export const fill = (node, ...children) => node.replaceChildren(...nodesOf(children));

/** A stranger's short text within a line: isolated, so that its direction changes nothing around it. */
export const name = (text, kind = "") => el("bdi", { class: `name ${kind}`, title: text.length > 24 && text }, text);

/** A stranger's long text: its line breaks kept, its direction its own. */
export const prose = (...children) => el("div", { class: "prose", dir: "auto" }, ...children);

export const button = (label, onclick, attributes = {}) =>
  el("button", { type: "button", onclick, ...attributes }, label);

/** A row of a table whose columns are [label, cell of an item]; the first cell names the row. */
export function row(columns, item) {
  return el(
    "tr",
    { role: "row" },
    columns.map(([label, cell], index) =>
      index
        ? el("td", { role: "cell", "data-label": label }, cell(item))
        : el("th", { role: "rowheader", scope: "row", "data-label": label }, cell(item)),
    ),
  );
}

/** A table; its roles are spelled out because narrow screens lay it out as cards. */
export function table(caption, columns, items) {
  const heads = columns.map(([label]) => el("th", { role: "columnheader", scope: "col" }, label));
  return el(
    "table",
    { role: "table" },
    el("caption", { class: "unseen" }, caption),
    el("thead", { role: "rowgroup" }, el("tr", { role: "row" }, heads)),
    el("tbody", { role: "rowgroup" }, items.map((item) => row(columns, item))),
  );
}

export const field = (label, input, attributes = {}) =>
  el("label", { class: "field", ...attributes }, el("span", {}, label), input);

export function select(options, value, attributes = {}) {
  const node = el("select", attributes);
  addOptions(node, options);
  node.value = value;
  return node;
}

/** Adds the [value, label] options a select does not have yet, so that one in use is never rebuilt. */
export function addOptions(node, options) {
  for (const [value, label] of options)
    if (![...node.options].some((option) => option.value === value)) node.append(el("option", { value }, label));
}

/** A titled part of a page; its id is its heading's. */
export const card = (id, title, ...inside) =>
  el("section", { class: `card ${id}`, "aria-labelledby": id }, el("h2", { id }, title), inside);

/** A page's heading, and what stands beside it. */
export const head = (title, ...beside) => el("div", { class: "head" }, el("h1", { tabindex: "-1" }, title), beside);

export const facts = (entries, kind = "facts") =>
  el(
    "dl",
    { class: kind },
    entries
      .filter(([, value]) => value !== undefined && value !== null)
      .map(([term, value]) => el("div", {}, el("dt", {}, term), el("dd", {}, value))),
  );
