// What a reviewer types: an edited answer with what it changes, a comment, a reason; kept until it is sent.

import { showDiff, wordDiff } from "./diff.js";
import { button, el, field, fill, prose } from "./dom.js";
import { ask } from "./shell.js";
import { REASON_CODES } from "./words.js";

const MAX_COMMENT = 4000;

/** What a reviewer typed about a review, kept in this tab until it is decided. */
export function typedText(key) {
  const kept = JSON.parse(sessionStorage.getItem(key) ?? "{}");
  return {
    ...kept,
    keep(changes) {
      const { answer, comment, reason_code } = Object.assign(this, changes);
      sessionStorage.setItem(key, JSON.stringify({ answer, comment, reason_code }));
    },
    forget: () => sessionStorage.removeItem(key),
    isEmpty() {
      return !this.answer && !this.comment;
    },
  };
}

export function commentField(typed) {
  const input = el("textarea", {
    id: "comment", rows: 3, maxlength: MAX_COMMENT, value: typed.comment ?? "",
    oninput: () => typed.keep({ comment: input.value }),
  });
  return field("Comment (optional)", input);
}

export function reasonField(typed) {
  return el("fieldset", { class: "reasons" }, el("legend", {}, "Reason"), REASON_CODES.map(([code, label, means]) =>
    el("label", { class: "check" },
      el("input", {
        type: "radio", name: "reason_code", value: code, required: true, checked: typed.reason_code === code,
        onchange: () => typed.keep({ reason_code: code }),
      }),
      el("span", {}, el("b", {}, label), `: ${means}`))));
}

export function makeEditor(typed, draft, { send, close }) {
  const plain = () => draft().replace(/\r\n?/g, "\n");
  const input = el("textarea", { id: "edited-answer", rows: 10, dir: "auto", oninput: () => {
    typed.keep({ answer: input.value });
    preview();
  } });
  const changes = prose();
  const done = button("Send edit…", send, { class: "primary", id: "send-edit" });
  const hint = el("span", { class: "sub" });
  const isChanged = () => typed.answer !== undefined && typed.answer !== plain();
  const discard = button("Start over", () => ask({
    title: "Discard your edit?", confirm: "Discard", tone: "danger",
    body: [el("p", {}, "The editor shows the draft again.")],
    act: () => {
      typed.keep({ answer: undefined });
      input.value = plain();
      preview();
    },
  }), { class: "quiet" });
  const node = el("div", { class: "editor" },
    field("Your answer", input),
    el("div", { class: "buttons" }, hint, discard, button("Close the editor", close, { class: "quiet" }), done),
    el("h3", { id: "changes" }, "What changes"),
    el("div", { role: "region", "aria-labelledby": "changes", id: "diff" }, changes));
  node.addEventListener("keydown", (event) => event.key === "Escape" && close());
  function preview() {
    if (!node.isConnected) return;
    if (!input.value && typed.answer === undefined) input.value = plain();
    else if (typed.answer !== undefined && input.value !== typed.answer) input.value = typed.answer;
    const isSame = input.value === plain();
    done.disabled = isSame || !input.value.trim();
    discard.hidden = isSame;
    fill(hint, isSame ? "Nothing changed yet" : input.value.trim() ? "" : "An answer cannot be empty: reject it instead");
    fill(changes, showDiff(wordDiff(plain(), input.value)));
  }
  return { node, preview, isChanged, focus: () => input.focus() };
}
