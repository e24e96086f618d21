// A review's evidence: the conversation, the draft with its marks, the passages, earlier opinions, the signals.

import { showDiff, wordDiff } from "./diff.js";
import { card, el, name, prose } from "./dom.js";
import { when } from "./time.js";
import { plural, signalName, whyHere, words } from "./words.js";

export function earlierTurns(history) {
  return history.length > 0 && card("earlier", "Earlier in the conversation",
    el("ol", {}, history.map((turn) => el("li", { class: turn.role === "assistant" ? "assistant" : "user" },
      el("span", { class: "sub" }, words(turn.role)), prose(turn.text)))));
}

export function draftCard(review, editor) {
  const sentences = review.sentences ?? [];
  const notes = sentences.filter((sentence) => sentence.marked);
  const text = sentences.length
    ? sentences.map((sentence) => (sentence.marked ? marked(sentence, notes.indexOf(sentence) + 1) : sentence.text))
    : review.draft;
  return card("draft", "Draft answer",
    el("div", { id: "draft-text" }, prose(text)),
    !sentences.length && el("p", { class: "sub" }, "There are no passages to check this answer against."),
    sentences.length > 0 && !notes.length && el("p", { class: "sub" }, "The passages hold the words of every sentence."),
    notes.length > 0 && el("div", { class: "legend" },
      el("p", {}, el("span", { class: "ungrounded" }, "Underlined"), " sentences use words that no passage holds:"),
      el("ol", {}, notes.map(({ missing }) =>
        el("li", {}, missing.map((word, at) => [at > 0 && ", ", el("b", {}, name(word))]))))),
    editor);
}

/** A sentence no passage holds whole; the words that are missing stand out. */
function marked({ text, missing }, number) {
  const absent = new Set(missing.map((word) => word.toLowerCase()));
  const body = text.trimEnd();
  const parts = body.split(/([\p{L}\p{N}]+)/u).map((part) => (absent.has(part.toLowerCase()) ? el("b", {}, part) : part));
  return [
    el("mark", { class: "ungrounded", title: `No passage holds: ${missing.join(", ")}` }, parts),
    el("sup", { class: "aside", "aria-hidden": "true" }, number),
    el("span", { class: "unseen aside" }, ` (not in the passages: ${missing.join(", ")})`),
    text.slice(body.length),
  ];
}

export function passagesCard(passages) {
  return card("passages", passages.length ? plural(passages.length, "passage") : "No passages",
    passages.length
      ? el("ol", {}, passages.map(({ id, text }) =>
        el("li", {}, el("span", { class: "sub" }, name(id, "id")), prose(text))))
      : el("p", { class: "sub" }, "The answer was given without sources: judge it by what you know."));
}

export function opinionsCard(opinions, draft) {
  return opinions.length > 0 && card("opinions", "Earlier opinions",
    el("ol", {}, opinions.map((opinion) => el("li", {},
      el("p", {}, el("b", {}, words(opinion.decision)),
        opinion.reason_code && `, ${words(opinion.reason_code).toLowerCase()}`,
        el("span", { class: "sub" }, words(opinion.tier), ", ", when(opinion.given_at))),
      opinion.comment && prose(opinion.comment),
      opinion.edited && el("div", { class: "diff" }, prose(showDiff(wordDiff(draft, opinion.edited))))))));
}

/** Why a person reads this, or why they are not told. */
export function whyNote(review) {
  if (review.blind)
    return el("p", { class: "note", id: "why" }, el("b", {}, "Blind reading. "),
      "The signals and the reason are kept from you, so that your judgement is your own.");
  return el("div", { class: "note", id: "why" },
    el("p", {}, el("b", {}, "Why it is here. "), whyHere(review)),
    review.findings?.length > 0 && el("ul", {}, review.findings.map((finding) => el("li", {}, el("bdi", {}, finding)))));
}

export function signalsCard(signals) {
  return signals.length > 0 && card("signals", "Signals",
    el("table", { "aria-labelledby": "signals" }, el("tbody", {}, signals.map(([signal, value]) => el("tr", {},
      el("th", { scope: "row" }, name(signalName(signal))),
      el("td", {}, el("meter", { value, max: Math.max(1, value), "aria-hidden": "true" })),
      el("td", { class: "number" }, Number(value.toFixed(2))))))));
}
