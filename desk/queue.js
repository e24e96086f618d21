// #/queue: what waits for a person, most urgent first, and how loaded the queues are.

import * as api from "./api.js";
import { button, el, fill, head, name, row, table } from "./dom.js";
import { filterBar, hashWith, options } from "./list.js";
import { announce, busy, go, keys, loading, nothing, poll, problem, toast } from "./shell.js";
import { due, duration, left, live, secondsTo, when } from "./time.js";
import { GIVES, percent, plural, spoken, words } from "./words.js";

const FILTERS = ["tenant", "use_case", "tier", "claimed"];
const MOST_PAGES = 40;
let filters = {};

/** The queue's address, with the filters last used. */
export const queueHash = () => hashWith("#/queue", filters);

// The same until it has an answer, so that a claim whose answer was lost is not made twice.
let attempt = null;

/** Claims the most urgent free review of the filtered queue and opens it. */
export async function claimNext() {
  const wanted = Object.fromEntries(Object.entries(filters).filter(([key, value]) => value && key !== "claimed"));
  attempt ??= crypto.randomUUID();
  const { review } = await api.post("/reviews/claim", { ...wanted, attempt });
  attempt = null;
  if (review) {
    go(`#/reviews/${encodeURIComponent(review.review_id)}`);
    return;
  }
  toast(`Nothing is free ${Object.keys(wanted).length ? "under these filters" : "for you"} right now.`);
  go(queueHash());
}

/** Who has it, and for how long. */
export function claim(review) {
  const isTaken = () => review.claimed_until && secondsTo(review.claimed_until) > 0;
  const node = el("span");
  let was = null;
  return live(node, () => {
    if (was === isTaken()) return;
    was = isTaken();
    node.className = was ? (review.claimed_by_me ? "claim mine" : "claim taken") : "claim";
    const whose = review.claimed_by_me ? "Yours" : name(review.claimed_by ?? "Somebody");
    fill(node, was ? [whose, " · ", left(review.claimed_until), " left"] : "Free");
  });
}

export const risk = ({ risk_class }) => el("span", { class: risk_class === "high" ? "risk high" : "risk" }, risk_class);

const COLUMNS = [
  ["Use case", ({ review_id: id, use_case: useCase, tenant }) => [
    el("a", { href: `#/reviews/${encodeURIComponent(id)}`, "data-review": id }, name(spoken(useCase))),
    el("span", { class: "sub" }, name(tenant)),
  ]],
  ["Due", (review) => due(review.due_at)],
  ["Risk", risk],
  ["Tier", (review) => words(review.tier)],
  ["Why", (review) => (review.blind ? el("span", { class: "tag" }, "Blind") : review.reason ? words(review.reason) : "–")],
  ["Confidence", ({ confidence: value }) =>
    value === undefined
      ? "–"
      : el("span", { class: "confidence" }, el("meter", { value, "aria-hidden": "true" }), percent(value))],
  ["Claim", claim],
];

export function open(main, { query, signal, who }) {
  filters = Object.fromEntries(FILTERS.map((filter) => [filter, query.get(filter) ?? ""]));
  let pages = 1;
  let shown = null;
  let known = null;
  const rows = new Map();

  const tiers = ["reviewer", "second", ...(who.is("leads") ? ["lead"] : [])];
  const { bar, offer } = filterBar("#/queue", "Filter the queue", filters, [
    ["tenant", "Tenant", options("All tenants", who.tenants)],
    ["use_case", "Use case", options("All use cases", [])],
    ["tier", "Tier", options("All tiers", tiers, words)],
    ["claimed", "Claim", [["", "Claimed or free"], ["free", "Free"], ["mine", "Mine"]]],
  ], () => {
    pages = 1;
    known = null;
    refresh();
  });
  const next = button("Claim next", () => busy(next, claimNext), {
    class: "primary", id: "claim-next", "aria-keyshortcuts": "c",
  });
  const load = el("section", { "aria-label": "Load of the queues" });
  const stale = el("p", { class: "stale", role: "status", hidden: true });
  const list = table("Reviews, most urgent first", COLUMNS, []);
  const body = list.querySelector("tbody");
  const more = button("More", () => {
    pages += 1;
    busy(more, refresh);
  });
  list.classList.add("cards", "queue");
  const content = el("div", { id: "queue" }, loading("the queue"));
  fill(
    main,
    head("Queue", next),
    load,
    bar,
    stale,
    content,
  );

  /** Reads every page that is shown; an unchanged one costs nothing. */
  async function read() {
    const found = [];
    let cursor;
    for (let page = 0; page < pages; page += 1) {
      const answer = await api.get("/reviews", { query: { ...filters, next: cursor }, signal });
      found.push(answer);
      cursor = answer.next;
      if (!cursor) break;
      // A page may hold nothing for this reader, and the next one may.
      if (!answer.reviews.length && page + 1 === pages && pages < MOST_PAGES) pages += 1;
    }
    return found;
  }

  async function task() {
    const asked = queueHash();
    const [found, queues] = await Promise.all([read(), api.get("/queues", { signal }).catch(() => null)]);
    if (asked !== queueHash()) return;
    stale.hidden = true;
    showLoad(load, queues?.queues ?? []);
    for (const key of ["tenant", "use_case"]) offer(key, (queues?.queues ?? []).map((queue) => queue[key]));
    if (shown?.length === found.length && found.every((page, index) => page === shown[index])) return;
    shown = found;
    const reviews = [...new Map(found.flatMap((page) => page.reviews).map((review) => [review.review_id, review])).values()];
    tell(reviews);
    showRows(reviews, Boolean(found.at(-1).next));
  }

  function tell(reviews) {
    const ids = new Set(reviews.map((review) => review.review_id));
    const fresh = known ? [...ids].filter((id) => !known.has(id)).length : 0;
    if (fresh) announce(`${plural(fresh, "new review")} in the queue.`);
    known = ids;
  }

  /** Changes only the rows that changed, so that neither focus nor scroll moves. */
  function showRows(reviews, isMore) {
    more.hidden = !isMore;
    if (!reviews.length) {
      const isFiltered = Object.values(filters).some(Boolean);
      fill(content, isFiltered
        ? nothing("Nothing matches", "No review waits under these filters. Change a filter above.")
        : nothing("All done", "Nobody waits for you. New reviews appear here by themselves."), isMore && more);
      return;
    }
    if (!list.isConnected) fill(content, list, more);
    const focused = document.activeElement?.dataset.review;
    const keep = reviews.map((review) => {
      const text = JSON.stringify(review);
      const old = rows.get(review.review_id);
      const node = old?.text === text ? old.node : row(COLUMNS, review);
      rows.set(review.review_id, { text, node });
      return node;
    });
    for (const node of [...body.children]) if (!keep.includes(node)) node.remove();
    keep.forEach((node, index) => body.children[index] !== node && body.insertBefore(node, body.children[index] ?? null));
    if (focused && document.activeElement?.dataset.review !== focused)
      links().find((link) => link.dataset.review === focused)?.focus({ preventScroll: true });
  }

  const links = () => [...body.querySelectorAll("a[data-review]")];
  const move = (step, isArrow) => {
    const at = links().indexOf(document.activeElement);
    if (isArrow && at < 0) return false; // elsewhere the arrows scroll
    links().at(at < 0 ? 0 : Math.min(Math.max(at + step, 0), links().length - 1))?.focus();
    return true;
  };
  keys(signal, {
    j: () => move(1),
    k: () => move(-1),
    ArrowDown: () => move(1, true),
    ArrowUp: () => move(-1, true),
    c: () => next.click(),
  });

  const refresh = poll(signal, task, (error, wait) => {
    if (!shown) fill(content, problem(error, refresh));
    stale.hidden = !shown;
    fill(stale, `This may be out of date. ${error.message} The desk tries again within ${duration(wait)}.`);
  });
}

function showLoad(node, queues) {
  if (node.dataset.shown === JSON.stringify(queues)) return;
  node.dataset.shown = JSON.stringify(queues);
  const loaded = queues.filter((queue) => queue.waiting || queue.state === "BREACHING");
  fill(node,
    queues.filter((queue) => queue.state === "BREACHING").map((queue) =>
      el("p", { class: "banner bad" },
        el("b", {}, "Behind its promise: "), name(spoken(queue.use_case)), " of ", name(queue.tenant),
        `, where ${plural(queue.waiting, "review waits", "reviews wait")}`,
        ` and each should be read within ${duration(queue.sla_seconds)}. Until it is back in time, `,
        queue.gives ? GIVES[queue.gives] ?? words(queue.gives) : "some answers come late", ".")),
    loaded.length > 0 &&
      el("ul", { class: "tiles" }, loaded.map((queue) =>
        el("li", { class: queue.state === "BREACHING" ? "breaching" : "" },
          el("span", { class: "tile-name" }, name(spoken(queue.use_case)), el("span", { class: "sub" }, name(queue.tenant))),
          el("b", { class: "figure" }, queue.waiting, el("span", {}, " waiting")),
          el("span", { class: "sub" },
            queue.waiting && queue.next_due_at ? ["First due ", when(queue.next_due_at)] : "Nobody waits",
            queue.drain_seconds ? `, cleared in about ${duration(queue.drain_seconds)}` : "")))));
}
