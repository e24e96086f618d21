// What every view shares: news, toasts, dialogs, keys, polling, and how loading and trouble look.

import { button, el, fill } from "./dom.js";
import { SignedOut } from "./session.js";

const ACTIVE_MS = 2 * 60_000;
const POLL_SECONDS = 5;
const IDLE_POLL_SECONDS = 30;
const MAX_POLL_SECONDS = 60;
const TOAST_MS = 10_000;
const KEYS_OFF = "bulwark.keys-off";
const TYPED_IN = "input:not([type=checkbox], [type=radio]), textarea, select";

let lastActive = Date.now();
for (const kind of ["keydown", "pointermove", "pointerdown", "wheel", "touchstart"])
  document.addEventListener(kind, () => (lastActive = Date.now()), { passive: true, capture: true });
export const isActive = () => Date.now() - lastActive < ACTIVE_MS;

/** Opens a view, afresh even when it is the one that is shown. */
export function go(hash) {
  if (location.hash === hash) window.dispatchEvent(new HashChangeEvent("hashchange"));
  else location.hash = hash;
}

/** Tells a screen reader, without moving anything. */
export const announce = (text) => fill(document.getElementById("news"), text);

/** Shows a passing note, in place of the one before. */
export function toast(text, tone = "") {
  const dismiss = button("Dismiss", () => note.remove(), { class: "quiet" });
  const note = el("div", { class: `toast ${tone}` }, el("p", {}, text), dismiss);
  fill(document.getElementById("toasts"), note);
  setTimeout(() => note.remove(), TOAST_MS);
}

export const loading = (what) => el("p", { class: "loading", role: "status" }, `Loading ${what}…`);

/** What went wrong and what to do, in place of what could not be shown. */
export function problem(error, retry) {
  return el(
    "div",
    { class: "state problem", role: "alert" },
    el("h2", {}, "That did not work"),
    el("p", {}, error.message),
    retry && button("Try again", retry),
  );
}

export const nothing = (title, text, ...more) =>
  el("div", { class: "state" }, el("h2", {}, title), el("p", {}, text), ...more);

/** Runs an action of a button, which waits for it; trouble is told in a toast. */
export async function busy(node, act) {
  const hadFocus = document.activeElement === node;
  node.disabled = true;
  try {
    await act();
  } catch (error) {
    trouble(error);
  } finally {
    node.disabled = false;
    if (hadFocus && document.activeElement === document.body) node.focus({ preventScroll: true });
  }
}

/** Trouble of an action: the app signs out on its own, a view that was left says nothing. */
export function trouble(error) {
  if (error.name === "AbortError") return;
  if (error instanceof SignedOut) document.dispatchEvent(new CustomEvent("signed-out"));
  else if (error.status === undefined) throw error;
  else toast(error.message, "bad");
}

/** A dialog that asks; focus is on its confirming button, or on a field that must be filled in first. */
export function ask({ title, body = [], confirm, tone = "primary", focus, act }) {
  const error = el("p", { class: "error", role: "alert" });
  const yes = el("button", { class: tone, id: "confirm" }, confirm);
  const close = () => dialog.close();
  const form = el(
    "form",
    {
      onsubmit: async (event) => {
        event.preventDefault();
        if (yes.disabled) return;
        yes.disabled = true;
        fill(error);
        try {
          await act();
          close();
        } catch (problem) {
          if (problem instanceof SignedOut) {
            close();
            trouble(problem);
          }
          fill(error, problem.message);
        }
        yes.disabled = false;
        if (error.textContent) yes.focus();
      },
    },
    el("h2", { id: "dialog-title" }, title),
    body,
    error,
    el("div", { class: "buttons" }, button("Cancel", close, { class: "quiet" }), yes),
  );
  const dialog = show(form);
  (focus ?? yes).focus();
}

function show(content) {
  closeDialogs();
  const dialog = el("dialog", { "aria-labelledby": "dialog-title", onclose: () => dialog.remove() }, content);
  document.body.append(dialog);
  dialog.showModal();
  return dialog;
}

export function closeDialogs() {
  for (const dialog of document.querySelectorAll("dialog[open]")) dialog.close();
}

const HELP = [
  ["Anywhere", [["?", "this help"], ["Esc", "close a dialog or the editor"]]],
  ["Queue", [["j k", "next, previous (arrows too)"], ["Enter", "open"], ["c", "claim the next free one"]]],
  ["Review", [
    ["c", "claim this one"], ["a", "approve"], ["e", "edit"], ["r", "reject"], ["s", "escalate"],
    ["x", "cannot judge"], ["u", "release"],
  ]],
];

export function help() {
  const off = el("input", {
    type: "checkbox",
    checked: !sessionStorage.getItem(KEYS_OFF),
    onchange: () => (off.checked ? sessionStorage.removeItem(KEYS_OFF) : sessionStorage.setItem(KEYS_OFF, "1")),
  });
  const done = button("Close", () => dialog.close(), { class: "primary" });
  const dialog = show([
    el("h2", { id: "dialog-title" }, "Keys"),
    el("div", { class: "key-lists" }, HELP.map(([where, list]) =>
      el("section", {}, el("h3", {}, where), el("dl", { class: "keys" }, list.map(([keys, does]) =>
        el("div", {}, el("dt", {}, keys.split(" ").map((key) => el("kbd", {}, key))), el("dd", {}, does))))))),
    el("p", { class: "hint" }, "A deciding key only opens a dialog: press Enter there to confirm, Esc to go back."),
    el("label", { class: "check" }, off, " Use single keys"),
    el("div", { class: "buttons" }, done),
  ]);
  done.focus();
}

/** Single keys, for as long as the signal lives: never while typing, in a dialog, held down or with a modifier. */
export function keys(signal, map) {
  const listen = (event) => {
    const act = map[event.key];
    if (!act || event.defaultPrevented || event.repeat || event.isComposing) return;
    if (event.ctrlKey || event.altKey || event.metaKey || sessionStorage.getItem(KEYS_OFF)) return;
    if (event.target.closest?.(TYPED_IN) || document.querySelector("dialog[open]")) return;
    if (act(event) !== false) event.preventDefault();
  };
  document.addEventListener("keydown", listen, { signal });
}

/**
 * Does a task now and again: every few seconds while the tab is visible, less often while nobody is there or while it
 * fails. Returns a function that does it at once.
 */
export function poll(signal, task, failed, seconds = POLL_SECONDS) {
  let timer;
  let failures = 0;
  let running = false;
  let again = false;
  const run = async () => {
    clearTimeout(timer);
    if (signal.aborted || document.hidden) return;
    again = running;
    if (running) return;
    running = true;
    let wait = isActive() ? seconds : IDLE_POLL_SECONDS;
    try {
      await task();
      failures = 0;
    } catch (error) {
      if (signal.aborted) return;
      failures += 1;
      wait = Math.min(MAX_POLL_SECONDS, Math.max(error.retryAfter ?? 0, seconds * 2 ** failures));
      if (error instanceof SignedOut) trouble(error);
      else failed(error, wait);
    }
    running = false;
    if (!signal.aborted) timer = setTimeout(run, again ? 0 : wait * 1000);
  };
  document.addEventListener("visibilitychange", run, { signal });
  window.addEventListener("online", run, { signal });
  signal.addEventListener("abort", () => clearTimeout(timer));
  run();
  return run;
}
