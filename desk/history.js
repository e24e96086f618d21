// #/history: what the reviewer decided, newest first.

import * as api from "./api.js";
import { el, fill, head, name } from "./dom.js";
import { list } from "./list.js";
import { nothing } from "./shell.js";
import { taken, when } from "./time.js";
import { spoken, words } from "./words.js";

const COLUMNS = [
  ["Decision", (verdict) => [
    el("a", { href: `#/reviews/${encodeURIComponent(verdict.review_id)}` }, words(verdict.decision)),
    verdict.reason_code && el("span", { class: "sub" }, words(verdict.reason_code)),
  ]],
  ["Use case", (verdict) => [name(spoken(verdict.use_case)), el("span", { class: "sub" }, name(verdict.tenant))]],
  ["Request", (verdict) => name(verdict.request_id, "id")],
  ["Tier", (verdict) => words(verdict.tier)],
  ["Time taken", (verdict) => (verdict.seconds === undefined ? "–" : taken(verdict.seconds))],
  ["When", (verdict) => when(verdict.given_at)],
];

export function open(main, { signal }) {
  const content = el("div", { id: "history" });
  fill(main, head("My history"), content);
  list(content, {
    what: "your history",
    caption: "My decisions, newest first",
    columns: COLUMNS,
    page: async (next) => {
      const answer = await api.get("/verdicts", { query: { next }, signal });
      return { items: answer.verdicts, next: answer.next };
    },
    empty: () => nothing("No decisions yet", "What you decide in the queue is listed here, with the time it took you."),
  });
}
