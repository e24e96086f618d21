// #/quality: how good the released answers and the reviews themselves are, month by month.

import * as api from "./api.js";
import { card, el, facts, field, fill, head, name, select, table } from "./dom.js";
import { failed } from "./list.js";
import { loading, nothing } from "./shell.js";
import { taken } from "./time.js";
import { kappaWords, percent, plural, spoken, words } from "./words.js";

const MONTHS = 12;
const MONTH = new Intl.DateTimeFormat("en", { month: "long", year: "numeric", timeZone: "UTC" });
const SCALES = [0.05, 0.1, 0.25, 0.5, 1];

function lastMonths() {
  const today = new Date();
  return Array.from({ length: MONTHS }, (_, back) => {
    const month = new Date(Date.UTC(today.getUTCFullYear(), today.getUTCMonth() - back, 1));
    return [month.toISOString().slice(0, 7), MONTH.format(month)];
  });
}

const REVIEWER = [
  ["Reviewer", (row) => name(row.reviewer)],
  ["Decided", (row) => row.decided],
  ["Mean time", (row) => (row.decided ? taken(row.mean_seconds) : "–")],
];
const PLANTED = [
  "Planted items missed",
  (row) => (row.planted_shown ? `${row.planted_missed} of ${row.planted_shown}` : "none shown"),
];

export function open(main, { signal, who, query }) {
  const months = lastMonths();
  const [chosen] = months.find(([value]) => value === query.get("month")) ?? months[0];
  const month = select(months, chosen, { id: "month" });
  const content = el("div", { id: "quality" });
  fill(main, head("Quality of review", field("Month", month)), content);
  month.addEventListener("change", () => {
    history.replaceState(null, "", `#/quality?month=${month.value}`);
    read();
  });

  async function read() {
    const asked = month.value;
    fill(content, loading("the month"));
    try {
      const answer = await api.get("/quality", { query: { month: asked }, signal });
      if (asked === month.value) show(answer);
    } catch (error) {
      failed(content, error, read);
    }
  }

  function show({ use_cases: useCases, reviewers }) {
    if (!useCases.length && !reviewers.length) {
      fill(content, nothing("Nothing was reviewed in this month", "Choose another month above."));
      return;
    }
    const isOverseer = who.is("leads", "operators");
    const highest = Math.max(0, ...useCases.map((useCase) => useCase.audits.high ?? 0));
    const scale = SCALES.find((bound) => highest <= bound);
    const people = table("Reviewers in this month", isOverseer ? [...REVIEWER, PLANTED] : REVIEWER, reviewers);
    people.classList.add("cards");
    fill(content,
      el("div", { class: "grid" }, useCases.map((useCase) => useCaseCard(useCase, scale))),
      reviewers.length > 0 && card("reviewers", isOverseer ? "Reviewers" : "You", people));
  }
  read();
}

function useCaseCard({ tenant, use_case, audits, agreement, planted, held }, scale) {
  return el("section", { class: "card" },
    el("h2", {}, name(spoken(use_case)), " ", el("span", { class: "sub" }, name(tenant))),
    el("h3", {}, "Released answers that were wrong"),
    audits.judged ? estimate(audits, scale) : el("p", { class: "sub" }, "No released answer was audited yet."),
    facts([
      ["Two readers agree", agreementIn(agreement)],
      ["Planted items missed", planted.shown ? [el("b", {}, planted.missed), ` of ${planted.shown}`] : "none shown"],
    ]),
    el("h3", {}, "Held answers"),
    facts(["approved", "edited", "rejected", "lapsed"].map((end) => [words(end), held[end]]), "facts counts"));
}

function agreementIn({ pairs, agreed, kappa }) {
  if (!pairs) return "no double readings";
  if (kappa === null) return `cannot be told from ${plural(pairs, "pair")}`;
  return [el("b", {}, `κ ${kappa.toFixed(2)}`), `, ${kappaWords(kappa)}: ${agreed} of ${plural(pairs, "pair")}`];
}

/** The share of wrong answers, and the interval that holds the true one 95 times in 100. */
function estimate({ judged, wrong, low, high }, scale) {
  const share = wrong / judged;
  const x = (value) => 4 + (value / scale) * 292;
  const interval = `95% interval ${percent(low, 1)} to ${percent(high, 1)}`;
  return [
    el("p", {}, el("b", { class: "figure" }, percent(share, 1)), ` ${wrong} of ${judged} audited; ${interval}`),
    el("svg", { class: "interval", viewBox: "0 0 300 22", role: "img", "aria-label": `${percent(share, 1)}; ${interval}` },
      el("line", { class: "axis", x1: 4, x2: 296, y1: 11, y2: 11 }),
      [0, 0.5, 1].map((part) => el("line", { class: "axis", x1: x(part * scale), x2: x(part * scale), y1: 7, y2: 15 })),
      el("rect", { class: "range", x: x(low), y: 7, width: x(high) - x(low), height: 8 }),
      el("circle", { class: "point", cx: x(share), cy: 11, r: 5 })),
    el("p", { class: "scale", "aria-hidden": "true" }, [0, 0.5, 1].map((part) => el("span", {}, percent(part * scale, 1)))),
  ];
}
