// The desk's frame: signs in, shows the view the address names, and keeps navigation, colours and news around it.

import { forgetAll } from "./api.js";
import { button, el, fill, name } from "./dom.js";
import { open as openHistory } from "./history.js";
import * as incidents from "./incidents.js";
import * as item from "./item.js";
import * as quality from "./quality.js";
import * as queue from "./queue.js";
import * as requests from "./requests.js";
import { closeDialogs, help, keys, loading, nothing, problem } from "./shell.js";
import {
  SignInFailed, accessToken, finishSignIn, isSignedIn, loadConfig, me, signIn, signOut, takeReturn,
} from "./session.js";

const REVIEW = ["reviewers", "leads"];
const VIEWS = [
  { path: /^\/queue$/, title: "Queue", hash: "#/queue", groups: REVIEW, open: queue.open },
  { path: /^\/reviews\/([^/]+)$/, title: "Review", groups: REVIEW, open: item.open, under: "#/queue" },
  { path: /^\/history$/, title: "My history", hash: "#/history", groups: REVIEW, open: openHistory },
  { path: /^\/requests$/, title: "Requests", hash: "#/requests", groups: ["operators"], open: requests.open },
  { path: /^\/requests\/([^/]+)$/, title: "Request", groups: ["operators"], open: requests.openOne, under: "#/requests" },
  { path: /^\/incidents$/, title: "Incidents", hash: "#/incidents", groups: ["operators"], open: incidents.open },
  { path: /^\/incidents\/([^/]+)$/, title: "Incident", groups: ["operators"], open: incidents.openOne, under: "#/incidents" },
  { path: /^\/quality$/, title: "Quality", hash: "#/quality", groups: [...REVIEW, "operators"], open: quality.open },
];
const THEMES = { auto: "light", light: "dark", dark: "auto" };
const ENDED = "Your session has ended. Sign in again: you come back to this page, and what you typed is still here.";
const UNREACHED = "The sign-in service cannot be reached. Check the connection and";
const THEME = "bulwark.theme";

const main = document.getElementById("main");
const nav = document.getElementById("nav");
const tools = document.getElementById("tools");
let leaving = new AbortController();

function colours(theme) {
  document.documentElement.dataset.theme = theme;
  sessionStorage.setItem(THEME, theme);
}

function showTools(who) {
  const theme = button("", () => {
    colours(THEMES[document.documentElement.dataset.theme]);
    label();
  }, { class: "quiet", id: "theme" });
  const label = () => {
    fill(theme, `◐ ${document.documentElement.dataset.theme}`);
    theme.setAttribute("aria-label", `Colours: ${document.documentElement.dataset.theme}`);
  };
  label();
  fill(tools, theme, who && [
    button("Keys", help, { class: "quiet", id: "help", "aria-keyshortcuts": "?" }),
    el("span", { class: "who" }, name(who.username)),
    button("Sign out", leave, { class: "quiet", id: "sign-out" }),
  ]);
}

async function leave() {
  leaving.abort();
  forgetAll();
  fill(nav);
  fill(main, loading("the sign-out page"));
  await signOut();
}

function showSignIn(note = "") {
  leaving.abort();
  closeDialogs();
  forgetAll();
  fill(nav);
  showTools();
  document.title = "Sign in · Bulwark";
  const failed = el("p", { class: "error", role: "alert" }, note);
  const start = () => signIn().catch((error) => fill(failed, error.message));
  fill(main, el("div", { class: "state welcome" },
    el("h1", { tabindex: "-1" }, "Reviewer’s desk"),
    el("p", {}, "Answers that Bulwark does not release on its own wait here for a person."),
    failed, button("Sign in", start, { class: "primary", id: "sign-in" })));
}

function route() {
  if (!isSignedIn()) return;
  const who = me();
  const allowed = VIEWS.filter((view) => who.is(...view.groups));
  if (!allowed.length) {
    fill(main, nothing("Nothing for you here yet",
      "Your account is in none of the groups reviewers, leads or operators. " +
      "Ask your operator to add you to one, and to your tenant’s, then sign in again."));
    return;
  }
  const [path, query] = location.hash.replace(/^#/, "").split(/\?(.*)/s);
  if (!path.startsWith("/")) {
    location.replace(allowed[0].hash);
    return;
  }
  const view = VIEWS.find((each) => each.path.test(path));
  leaving.abort();
  leaving = new AbortController();
  closeDialogs();
  fill(nav, allowed.filter((each) => each.hash).map((each) => el("a", {
    href: each.hash === "#/queue" ? queue.queueHash() : each.hash,
    "aria-current": view === each ? "page" : view?.under === each.hash && "true",
  }, each.title)));
  document.title = `${view?.title ?? "Not found"} · Bulwark`;
  if (!view) fill(main, nothing("There is no such page", "The address may be mistyped. Choose a view above."));
  else if (!allowed.includes(view)) 
    fill(main, nothing("This page is not for you",
      `It is for ${view.groups.join(", ")}. Ask your operator if you think you should see it.`));
  else {
    const id = decoded(view.path.exec(path)[1]);
    view.open(main, { id, query: new URLSearchParams(query), signal: leaving.signal, who });
  }
  window.scrollTo(0, 0);
  main.querySelector("h1")?.focus({ preventScroll: true });
}

function decoded(part) {
  try {
    return part && decodeURIComponent(part);
  } catch {
    return part;
  }
}

async function start() {
  const returned = takeReturn();
  colours(sessionStorage.getItem(THEME) ?? "auto");
  showTools();
  fill(main, loading("the desk"));
  try {
    await loadConfig();
    if (returned) await finishSignIn(returned);
    if (!isSignedIn()) {
      showSignIn();
      return;
    }
    await accessToken();
    showTools(me());
    route();
  } catch (error) {
    if (error instanceof SignInFailed) showSignIn(error.message);
    else if (!isSignedIn()) showSignIn(returned ? `${UNREACHED} sign in again.` : ENDED);
    else fill(main, problem(new Error(`${UNREACHED} try again.`), () => location.reload()));
  }
}

document.addEventListener("signed-out", () => showSignIn(ENDED));
document.getElementById("skip").addEventListener("click", (event) => {
  event.preventDefault();
  main.focus();
});
const offline = document.getElementById("offline");
const showConnection = () => (offline.hidden = navigator.onLine);
window.addEventListener("online", showConnection);
window.addEventListener("offline", showConnection);
window.addEventListener("hashchange", route);
keys(new AbortController().signal, { "?": help });
showConnection();
start();
