// #/reviews/{id}: one held answer, the evidence for and against it, and the decision.

import * as api from "./api.js";
import { button, card, el, facts, field, fill, head, name, prose } from "./dom.js";
import { showDiff, wordDiff } from "./diff.js";
import { commentField, makeEditor, reasonField, typedText } from "./editor.js";
import { draftCard, earlierTurns, opinionsCard, passagesCard, signalsCard, whyNote } from "./evidence.js";
import { claim, claimNext, queueHash, risk } from "./queue.js";
import {
  announce, ask, busy, closeDialogs, go, isActive, keys, loading, nothing, poll, problem, toast, trouble,
} from "./shell.js";
import { due, exact, left, live, secondsTo, when } from "./time.js";
import { NEXT, SILENCE, spoken, words } from "./words.js";

const POLL_SECONDS = 15;
const WARN_SECONDS = 60;
const RETRY_RENEWAL_MS = 10_000;
const STAY = "bulwark.stay";

const ACTIONS = [
  { decision: "APPROVE", label: "Approve", key: "a", says: "The draft is released exactly as it is shown." },
  { decision: "EDIT", label: "Edit", key: "e" },
  { decision: "REJECT", label: "Reject", key: "r", says: "The draft is held back. Say why:" },
  { decision: "ESCALATE", label: "Escalate", key: "s", says: "A lead decides instead of you." },
  { decision: "CANNOT_JUDGE", label: "Cannot judge", key: "x", says: "Somebody else reads it. That is no mark against you." },
];

export function open(main, { id, signal, who }) {
  const path = `/reviews/${encodeURIComponent(id)}`;
  const typed = typedText(`bulwark.typed.${who.id}.${id}`);
  let review = null;
  let lastRead = null;
  let evidenceShown = "";
  let leaseSeconds = 0;
  let renewedAt = 0;
  let editing = Boolean(typed.answer);

  const back = el("a", { href: queueHash() }, "Queue");
  const title = el("h1", { tabindex: "-1" }, "Review");
  const meta = el("div", { class: "meta" });
  const notice = el("div", { id: "notice", role: "status", "aria-live": "polite" });
  const evidence = el("div", { class: "evidence" });
  const panel = el("aside", { class: "panel", "aria-label": "Decision" });
  const page = el("div", { class: "item" }, evidence, panel);
  const content = el("div", {}, loading("the review"));
  fill(main, el("p", { class: "back" }, "← ", back), el("div", { class: "head" }, title), notice, content);

  const stay = el("input", {
    type: "checkbox", id: "claim-after", checked: !sessionStorage.getItem(STAY),
    onchange: () => (stay.checked ? sessionStorage.removeItem(STAY) : sessionStorage.setItem(STAY, "1")),
  });
  const editor = makeEditor(typed, () => review.draft, { send: () => confirmEdit(), close: () => edit(false) });

  const isMine = () => review.claimed_by_me && secondsTo(review.claimed_until) > 0;
  const isOpen = () => review.status === "OPEN";
  const may = (decision) => isOpen() && isMine() && review.may.includes(decision);

  // Reading

  async function read() {
    const fresh = await api.get(path, { signal });
    if (fresh === lastRead) return;
    lastRead = fresh;
    show(fresh);
  }

  function show(fresh) {
    const before = review;
    review = fresh;
    noteLease();
    if (!page.isConnected) {
      fill(content, meta, page);
      fill(title, "Review: ", name(spoken(review.use_case)));
    }
    showMeta();
    showEvidence(before && before.shown_digest !== review.shown_digest);
    showPanel();
  }

  function showMeta() {
    fill(meta, facts([
      ["Due", isOpen() ? due(review.due_at) : words(review.status)],
      ["Tier", words(review.tier)],
      ["Risk", risk(review)],
      ["Tenant", name(review.tenant)],
      ["Request", name(review.request_id, "id")],
      ["Opened", when(review.opened_at)],
      ["Model", review.model && name(review.model)],
    ], "facts inline"), whyNote(review));
  }

  function showEvidence(isChanged) {
    const { query, history, passages, draft, sentences, opinions, edited } = review;
    const key = JSON.stringify([query, history, passages, draft, sentences, opinions, edited, editing]);
    if (key === evidenceShown) return;
    evidenceShown = key;
    if (isChanged) closeDialogs();
    if (isChanged) warn("The draft has changed since you opened it. Read it again; what you typed is kept.");
    const wasTyping = editor.node.contains(document.activeElement);
    fill(evidence,
      earlierTurns(history ?? []),
      card("question", "Question", prose(query ?? "")),
      draftCard(review, editing && editor.node),
      edited && card("edits", "What an editor changed", prose(showDiff(wordDiff(draft, edited)))),
      opinionsCard(opinions ?? [], draft),
      passagesCard(passages ?? []),
      signalsCard(Object.entries(review.signals ?? {})));
    editor.preview();
    if (wasTyping) editor.focus();
  }

  // Deciding

  function showPanel() {
    const focused = panel.contains(document.activeElement) && document.activeElement.id;
    fill(panel, decideCard(), isOpen() && claimCard());
    if (focused) document.getElementById(focused)?.focus({ preventScroll: true });
  }

  function decideCard() {
    const next = button("Claim next", () => busy(next, claimNext), { class: "primary wide", id: "claim-next" });
    if (!isOpen()) {
      const ending = [ENDED[review.status] ?? words(review.status), review.decision && [" ", words(review.decision), "."]];
      return card("decide", "Decide", el("p", {}, ending), next);
    }
    if (isMine()) return card("decide", "Decide", lease(), el("div", { class: "actions" }, ACTIONS.map(actionButton)));
    const take = button("Claim this review", () => busy(take, takeIt), {
      class: "primary wide", id: "claim", "aria-keyshortcuts": "c",
    });
    const isTaken = review.claimed_until && secondsTo(review.claimed_until) > 0;
    return card("decide", "Decide",
      el("p", {}, isTaken
        ? [claim(review), ". You can read it, and decide once it is free."]
        : "It is free. Claim it to decide; nobody else can then."),
      isTaken ? next : take);
  }

  function actionButton({ decision, label, key }) {
    const isOn = decision === "EDIT" && editing ? true : may(decision);
    return button([label, el("kbd", { "aria-hidden": "true" }, key)], () => choose(decision), {
      id: `action-${decision.toLowerCase().replace("_", "-")}`, class: `action ${decision.toLowerCase()}`,
      disabled: !isOn, "aria-keyshortcuts": key,
    });
  }

  function lease() {
    const node = el("p", { class: "lease" }, "Yours for ", left(review.claimed_until));
    const warning = el("b", { role: "status" });
    node.append(warning);
    return live(node, () => {
      const s = secondsTo(review.claimed_until);
      const isNear = s < WARN_SECONDS;
      if (node.classList.contains("near") !== isNear) {
        node.classList.toggle("near", isNear);
        fill(warning, isNear ? "Your claim ends within a minute. Press a key or move the mouse to keep it." : "");
      }
      if (s <= 0 && node.isConnected) {
        warn("Your claim has ended, and others can take this review. What you typed is kept.");
        showPanel();
      } else if (isActive() && (isNear || s < leaseSeconds / 2) && Date.now() - renewedAt > RETRY_RENEWAL_MS) renew();
    });
  }

  function noteLease() {
    if (isMine()) leaseSeconds = Math.max(leaseSeconds, secondsTo(review.claimed_until));
  }

  async function renew() {
    renewedAt = Date.now();
    try {
      review = { ...review, ...(await api.post(`${path}/claim`, {}, { signal })) };
      noteLease();
      showPanel();
    } catch (error) {
      if (error.code === "CLAIMED") await conflict(error);
      else if (error.code !== "UNREACHED" && error.code !== "SLOW") trouble(error); // those are tried again
    }
  }

  function claimCard() {
    const release = button("Release", () => busy(release, letGo), {
      class: "quiet", id: "release", "aria-keyshortcuts": "u",
    });
    const pass = button("Hand over…", handOver, { class: "quiet", id: "hand-over" });
    const { at, then } = review.silence;
    return card("otherwise", "Otherwise",
      el("p", {}, "If nobody decides, ", SILENCE[then] ?? words(then), " in ", el("b", {}, left(at)),
        el("span", { class: "sub" }, exact(at))),
      isMine() && el("div", { class: "buttons" }, release, pass),
      isMine() && el("label", { class: "check" }, stay, " After deciding, claim the next one"));
  }

  async function takeIt() {
    try {
      await api.post(`${path}/claim`, {}, { signal });
      fill(notice);
      await read();
      announce("It is yours.");
      document.getElementById("action-approve")?.focus({ preventScroll: true });
    } catch (error) {
      await conflict(error);
    }
  }

  async function letGo() {
    await api.remove(`${path}/claim`, { signal });
    toast("Released: others can take it now.");
    go(queueHash());
  }

  function handOver() {
    const to = el("input", { id: "hand-over-to", autocomplete: "off", spellcheck: "false", required: true, maxlength: 128 });
    ask({
      title: "Hand this review over", confirm: "Hand over", focus: to,
      body: [el("p", {}, "It is claimed for that person at once."), field("Username", to)],
      act: async () => {
        await api.post(`${path}/hand-over`, { to: to.value.trim() }, { signal });
        toast(`Handed over to ${to.value.trim()}.`);
        go(queueHash());
      },
    });
  }

  function choose(decision) {
    if (decision === "EDIT") {
      edit(true);
      return;
    }
    const { label, says } = ACTIONS.find((action) => action.decision === decision);
    const digest = review.shown_digest;
    const reasons = decision === "REJECT" ? reasonField(typed) : null;
    ask({
      title: `${label} this answer?`, confirm: label, tone: reasons ? "danger" : "primary",
      focus: reasons?.querySelector("input"),
      body: [
        editor.isChanged() && el("p", { class: "error" }, "Your edit is not sent with this. Close this dialog to send it."),
        el("p", {}, says), reasons, commentField(typed),
      ],
      act: () => decide(decision, digest, reasons && { reason_code: typed.reason_code }),
    });
  }

  function edit(on) {
    if (on && !may("EDIT")) return;
    editing = on;
    showEvidence();
    showPanel();
    if (on) editor.focus();
    else document.getElementById("action-edit")?.focus();
  }

  function confirmEdit() {
    if (!may("EDIT")) {
      warn("You do not hold this review any more. Claim it again to send your edit; what you typed is kept.");
      return;
    }
    const digest = review.shown_digest;
    ask({
      title: "Release the edited answer?", confirm: "Send edit",
      body: [
        el("p", {}, "The requester gets your text instead of the draft, unless another reader is asked first."),
        commentField(typed),
      ],
      act: () => decide("EDIT", digest, { answer: typed.answer }),
    });
  }

  /** Sends a decision on the draft that was shown when it was asked for, and not on a later one. */
  async function decide(decision, digest, more) {
    let answer;
    try {
      answer = await api.post(`${path}/decision`, {
        decision, shown_digest: digest, ...more, ...(typed.comment?.trim() && { comment: typed.comment.trim() }),
      });
    } catch (error) {
      await conflict(error);
      return;
    }
    typed.forget();
    toast(`${words(decision)}. ${NEXT[answer.next] ?? ""}`, "good");
    if (signal.aborted) return;
    if (!stay.checked) go(queueHash());
    else await claimNext().catch((error) => {
      trouble(error);
      go(queueHash());
    });
  }

  /** After a 409: says what happened, shows how things stand, and offers the next review. Others are thrown on. */
  async function conflict(error) {
    if (error.status !== 409) throw error;
    const isDraft = error.code === "DRAFT_CHANGED";
    await read().catch(() => {});
    warn(`${CONFLICTS[error.code] ?? error.message} ${typed.isEmpty() ? "" : "What you typed is kept."}`, !isDraft);
    showPanel();
  }

  function warn(text, offersNext) {
    const next = offersNext && button("Claim next", () => busy(next, claimNext), { class: "quiet" });
    fill(notice, el("div", { class: "banner" }, el("p", {}, text), next));
  }

  keys(signal, {
    c: () => document.getElementById("claim")?.click(),
    u: () => document.getElementById("release")?.click(),
    ...Object.fromEntries(ACTIONS.map(({ decision, key }) => [key, () => review && may(decision) && choose(decision)])),
  });
  const refresh = poll(signal, read, (error) => {
    if (review) return; // what is shown stays; the next try tells
    fill(content, error.status === 404
      ? nothing("There is no such review", "It may belong to another tenant, or its time has passed. Look into the queue.")
      : problem(error, refresh));
  }, POLL_SECONDS);
}

const CONFLICTS = {
  DRAFT_CHANGED: "The draft changed while you were deciding. Read it again, then decide.",
  NOT_CLAIMED: "Your claim had ended before the decision arrived. Claim the review again if it is free.",
  CLAIMED: "Somebody else has claimed this review meanwhile.",
  ALREADY_DECIDED: "This review was decided meanwhile; your decision was not needed.",
  DEADLINE_PASSED:
    "The time for this review has passed, and what the policy says for silence was done. " +
    "Your decision is recorded, and changes nothing.",
};

const ENDED = {
  ANSWERED: "A verdict was given, and the review is on its way to its next step.",
  DECIDED: "This review is decided.",
  LAPSED: "Nobody decided in time.",
};
