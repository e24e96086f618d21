// Lists: filters kept in the address, tables read page by page, and their loading, empty and error states.

import { addOptions, button, el, field, fill, row, select, table } from "./dom.js";
import { busy, loading, problem, trouble } from "./shell.js";
import { spoken } from "./words.js";

/** An address with the filters that are set. */
export function hashWith(view, filters) {
  const query = new URLSearchParams(Object.entries(filters).filter(([, value]) => value));
  return `${view}${query.size ? `?${query}` : ""}`;
}

/** Filters as [key, label, options]; what is chosen is put into `filters` and the address, then told. */
export function filterBar(view, label, filters, choices, changed) {
  const selects = {};
  for (const [key, , options] of choices) {
    const node = select(options, "");
    if (filters[key]) addOptions(node, [[filters[key], spoken(filters[key])]]);
    node.value = filters[key];
    node.addEventListener("change", () => {
      filters[key] = node.value;
      history.replaceState(null, "", hashWith(view, filters));
      changed();
    });
    selects[key] = node;
  }
  const fields = choices.map(([key, caption]) => field(caption, selects[key]));
  return {
    bar: el("form", { class: "filters", "aria-label": label, onsubmit: (event) => event.preventDefault() }, fields),
    offer: (key, values) => addOptions(selects[key], values.map((value) => [value, spoken(value)])),
  };
}

/** The first option, which filters nothing, then the others in words. */
export const options = (all, values, label = spoken) => [["", all], ...values.map((value) => [value, label(value)])];

/** Shows the first page; `page` reads one from a cursor, `empty` says why there is nothing. */
export async function list(content, { what, caption, columns, page, empty }) {
  fill(content, loading(what));
  try {
    let { items, next } = await page();
    if (!items.length) {
      fill(content, empty());
      return;
    }
    const shown = table(caption, columns, items);
    shown.classList.add("cards");
    const more = button("More", () => busy(more, async () => {
      const following = await page(next);
      next = following.next;
      more.hidden = !next;
      shown.querySelector("tbody").append(...following.items.map((item) => row(columns, item)));
    }), { hidden: !next });
    fill(content, shown, el("div", { class: "more" }, more));
  } catch (error) {
    failed(content, error, () => list(content, { what, caption, columns, page, empty }));
  }
}

/** Shows a failed read, unless the view was left or the session is over. */
export function failed(content, error, retry) {
  if (error.status === undefined) trouble(error);
  else fill(content, problem(error, retry));
}
