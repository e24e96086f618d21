// #/incidents and #/incidents/{id}: what is wrong with use cases, what was done about it, and the operator's word.

import * as api from "./api.js";
import { button, card, el, facts, field, fill, head, name, prose, table } from "./dom.js";
import { failed, list } from "./list.js";
import { ask, loading, nothing, poll, toast } from "./shell.js";
import { exact, when } from "./time.js";
import { spoken, words } from "./words.js";

const hashOf = (id) => `#/incidents/${encodeURIComponent(id)}`;
const MAX_REASON = 500;

const COLUMNS = [
  ["Incident", (incident) => el("a", { href: hashOf(incident.incident_id) }, words(incident.type))],
  ["Use case", (incident) => name(spoken(incident.use_case))],
  ["Severity", (incident) => el("span", { class: incident.severity === 1 ? "risk high" : "risk" }, incident.severity)],
  ["Status", (incident) => words(incident.status)],
  ["Since", (incident) => when(incident.since)],
];

const MODES = [
  ["Mode", (mode) => words(mode.mode)],
  ["Use case", (mode) => name(spoken(mode.use_case))],
  ["Set by", (mode) => [words(mode.owner.startsWith("incident_") ? "an incident" : mode.owner),
    mode.tenant && el("span", { class: "sub" }, `for ${mode.tenant}`)]],
  ["Ends", (mode) => [when(mode.until), el("span", { class: "sub" }, "unless it is renewed")]],
  ["Reason", (mode) => mode.reason || "–"],
];

const TIMELINE = [
  ["What", (entry) => words(entry.what)],
  ["When", (entry) => [when(entry.at), el("span", { class: "sub" }, exact(entry.at))]],
  ["Mode", (entry) => (entry.mode ? words(entry.mode) : "–")],
  ["More", (entry) => entry.told ?? entry.reason ?? (entry.ask ? words(entry.ask) : entry.outcome ? words(entry.outcome) : "")],
];

const ANSWERS = [
  ["approve", "Next rung", "The ladder takes its next, stricter rung."],
  ["hold", "Hold", "It stays as it is, without trying normal operation."],
  ["restore", "Restore", "Normal operation, whatever the metrics say."],
];

export function open(main, { signal }) {
  const content = el("div", { id: "incidents" });
  const modes = el("div", { id: "modes" });
  fill(main, head("Incidents"), modes, content);
  list(content, {
    what: "incidents",
    caption: "Incidents, the latest first",
    columns: COLUMNS,
    page: async () => {
      const found = await api.get("/incidents", { signal });
      fill(modes, found.modes.length > 0 && card("in-force", "Modes in force",
        table("What differs from normal operation, and who set it", MODES, found.modes)));
      return { items: found.incidents };
    },
    empty: () => nothing("Nothing is wrong", "No incident is open, and none was lately."),
  });
}

export function openOne(main, { id, signal }) {
  const content = el("div", { id: "incident" }, loading("the incident"));
  let shown = null;
  fill(main, el("p", { class: "back" }, "← ", el("a", { href: "#/incidents" }, "Incidents")), head("Incident"), content);

  function show(incident) {
    if (incident === shown) return;
    shown = incident;
    fill(content,
      el("section", { class: "card" }, facts([
        ["What", words(incident.type)],
        ["Use case", name(spoken(incident.use_case))],
        ["Severity", String(incident.severity)],
        ["Status", words(incident.status)],
        ["Phase", incident.phase && words(incident.phase)],
        ["Since", [exact(incident.since), " (", when(incident.since), ")"]],
      ]), prose(incident.explanation)),
      incident.phase && incident.phase !== "DONE" && card("word", "Your word",
        incident.ask && el("p", {}, "Asked of you: ", el("b", {}, words(incident.ask)), "."),
        el("div", { class: "buttons" }, ANSWERS.map(([answer, label, says]) =>
          button(label, () => give(answer, label, says), { id: `answer-${answer}` })))),
      card("timeline", "Timeline", table("What was seen and done", TIMELINE, incident.timeline)));
  }

  function give(answer, label, says) {
    const reason = el("input", { id: "reason", required: true, maxlength: MAX_REASON, autocomplete: "off" });
    ask({
      title: `${label}?`, confirm: label, focus: reason,
      body: [el("p", {}, says), field("Reason", reason)],
      act: async () => {
        await api.post(`/incidents/${encodeURIComponent(id)}/answer`, { answer, reason: reason.value.trim() }, { signal });
        toast("Stored. It is taken up within a minute.", "good");
        refresh();
      },
    });
  }

  const refresh = poll(signal, async () => show(await api.get(`/incidents/${encodeURIComponent(id)}`, { signal })),
    (error) => {
      if (shown) return;
      if (error.status === 404) fill(content, nothing("There is no such incident", "Check the address."));
      else failed(content, error, refresh);
    });
}
