// #/requests and #/requests/{id}: what became of requests, for operators.

import * as api from "./api.js";
import { button, el, facts, field, fill, head, name } from "./dom.js";
import { failed, filterBar, list, options } from "./list.js";
import { go, loading, nothing } from "./shell.js";
import { exact, when } from "./time.js";
import { percent, spoken, words } from "./words.js";

const FILTERS = ["tenant", "use_case", "status"];
const STATUSES = ["COMPLETED", "HELD", "REFUSED", "FAILED"];
const hashOf = (id) => `#/requests/${encodeURIComponent(id)}`;
const status = (value) => el("span", { class: `tag ${value.toLowerCase()}` }, words(value));
const usd = (cost) => (cost === undefined ? "–" : `$${cost.toFixed(5)}`);

const COLUMNS = [
  ["Request", (request) => el("a", { href: hashOf(request.request_id) }, name(request.request_id, "id"))],
  ["Use case", (request) => [name(spoken(request.use_case)), el("span", { class: "sub" }, name(request.tenant))]],
  ["Status", (request) => [status(request.status), request.reason && el("span", { class: "sub" }, words(request.reason))]],
  ["Decided by", (request) => (request.decided_by ? words(request.decided_by) : "–")],
  ["Model", (request) => (request.model ? name(request.model) : "–")],
  ["Confidence", (request) => (request.confidence === undefined ? "–" : percent(request.confidence))],
  ["Cost", (request) => usd(request.cost_usd)],
  ["When", (request) => when(request.outcome_at)],
];

export function open(main, { query, signal, who }) {
  const filters = Object.fromEntries(FILTERS.map((filter) => [filter, query.get(filter) ?? ""]));
  const { bar, offer } = filterBar("#/requests", "Filter the requests", filters, [
    ["tenant", "Tenant", options("All tenants", who.tenants)],
    ["use_case", "Use case", options("All use cases", [])],
    ["status", "Status", options("All statuses", STATUSES, words)],
  ], () => read());
  const id = el("input", { id: "request-id", autocomplete: "off", spellcheck: "false", required: true });
  const content = el("div", { id: "requests" });
  fill(main,
    head("Requests",
      el("form", { class: "look-up", role: "search", "aria-label": "Look up a request", onsubmit: (event) => {
        event.preventDefault();
        go(hashOf(id.value.trim()));
      } }, field("Request id", id), el("button", {}, "Look up"))),
    bar,
    content);

  let reading = new AbortController();
  function read() {
    reading.abort();
    reading = new AbortController();
    const current = AbortSignal.any([signal, reading.signal]);
    list(content, {
      what: "requests",
      caption: "Requests, newest first",
      columns: COLUMNS,
      page: async (next) => {
        const answer = await api.get("/inferences", { query: { ...filters, next }, signal: current });
        offer("use_case", answer.inferences.map((request) => request.use_case));
        return { items: answer.inferences, next: answer.next };
      },
      empty: () => nothing("No requests", Object.values(filters).some(Boolean)
        ? "None matches these filters. Change a filter above."
        : "Once an application sends requests, they are listed here."),
    });
  }
  read();
}

export async function openOne(main, { id, signal, who }) {
  const content = el("div", { id: "request" });
  fill(main, el("p", { class: "back" }, "← ", el("a", { href: "#/requests" }, "Requests")),
    head(["Request ", name(id, "id")]), content);
  const read = async () => {
    fill(content, loading("the request"));
    try {
      show(await api.get(`/inferences/${encodeURIComponent(id)}`, { signal }));
    } catch (error) {
      if (error.status !== 404) failed(content, error, read);
      else fill(content, nothing("There is no such request",
        "Check the id, or whether it belongs to one of your tenants. Old requests are deleted after their time.",
        button("Try again", read)));
    }
  };
  const time = (iso) => iso && [exact(iso), " (", when(iso), ")"];
  const show = (request) =>
    fill(content, el("section", { class: "card" }, facts([
      ["Status", status(request.status)],
      ["Reason", request.reason && words(request.reason)],
      ["Message", request.message],
      ["Use case", name(spoken(request.use_case))],
      ["Model", request.model && name(request.model)],
      ["Confidence", request.confidence === undefined ? undefined : percent(request.confidence, 1)],
      ["Cost", request.cost_usd === undefined ? undefined : usd(request.cost_usd)],
      ["Admitted", time(request.admitted_at)],
      ["Outcome", time(request.outcome_at)],
      ["Decided by", request.decided_by && words(request.decided_by)],
      ["Due", request.status === "HELD" ? time(request.due_at) : undefined],
      ["Review", request.review_id && (who.is("reviewers", "leads")
        ? el("a", { href: `#/reviews/${encodeURIComponent(request.review_id)}` }, name(request.review_id, "id"))
        : name(request.review_id, "id"))],
    ])));
  read();
}
