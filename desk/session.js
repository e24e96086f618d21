// The sign-in: authorization code with PKCE. Tokens live in this module and in sessionStorage, nowhere else.

const SESSION = "bulwark.session";
const PENDING = "bulwark.sign-in";
const REFRESH_EARLY_MS = 60_000;
const DESK = new URL(".", location.origin + location.pathname).href;

let config = null;
let session = read(SESSION);
let refreshing = null;

/** There is no session (any more): sign in. */
export class SignedOut extends Error {}

/** Signing in did not work; the message says what to do. */
export class SignInFailed extends Error {}

function read(key) {
  try {
    return JSON.parse(sessionStorage.getItem(key));
  } catch {
    return null;
  }
}

export async function loadConfig() {
  const response = await fetch("config.json", { cache: "no-store", signal: AbortSignal.timeout(15_000) });
  if (!response.ok) throw new SignInFailed("The desk’s settings could not be read. Reload the page in a minute.");
  config = await response.json();
  for (const url of ["api_url", "sign_in_url"]) config[url] = config[url].replace(/\/+$/, "");
}

export const apiUrl = () => config.api_url;
export const isSignedIn = () => session !== null;

const base64url = (bytes) =>
  btoa(String.fromCharCode(...bytes)).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
const randomText = () => base64url(crypto.getRandomValues(new Uint8Array(32)));

export async function signIn() {
  if (!crypto.subtle) throw new SignInFailed("Signing in needs a secure address: open the desk over https.");
  const pending = { state: randomText(), verifier: randomText(), hash: location.hash };
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(pending.verifier));
  sessionStorage.setItem(PENDING, JSON.stringify(pending));
  const query = new URLSearchParams({
    response_type: "code",
    client_id: config.client_id,
    redirect_uri: DESK,
    scope: "openid",
    state: pending.state,
    code_challenge: base64url(new Uint8Array(digest)),
    code_challenge_method: "S256",
  });
  location.assign(`${config.sign_in_url}/oauth2/authorize?${query}`);
}

/** Takes what the sign-in page sent back, out of the address bar first of all. */
export function takeReturn() {
  const answer = new URLSearchParams(location.search);
  if (!answer.has("code") && !answer.has("error")) return null;
  const pending = read(PENDING);
  sessionStorage.removeItem(PENDING);
  const isOurs = pending !== null && answer.get("state") === pending.state;
  history.replaceState(null, "", DESK + ((isOurs && pending.hash) || location.hash));
  return { isOurs, pending, code: answer.get("code"), error: answer.get("error") };
}

export async function finishSignIn({ isOurs, pending, code, error }) {
  if (!isOurs) {
    if (isSignedIn()) return;
    throw new SignInFailed("This sign-in was not started in this tab, or it is too old. Sign in again.");
  }
  if (error === "access_denied")
    throw new SignInFailed("The sign-in was cancelled or not allowed. Sign in again, or ask your operator for access.");
  if (error)
    throw new SignInFailed("The sign-in page reported a problem. Sign in again; if it stays so, tell your operator.");
  const tokens = await askForTokens({
    grant_type: "authorization_code", code, redirect_uri: DESK, code_verifier: pending.verifier,
  });
  if (!tokens) throw new SignInFailed("The sign-in took too long or was used before. Sign in again.");
}

/** Keeps and returns the tokens; null when the sign-in service refuses. */
async function askForTokens(fields) {
  const response = await fetch(`${config.sign_in_url}/oauth2/token`, {
    method: "POST",
    body: new URLSearchParams({ client_id: config.client_id, ...fields }),
    credentials: "omit",
    cache: "no-store",
    signal: AbortSignal.timeout(15_000),
  });
  if (response.status >= 500) throw new TypeError("The sign-in service has a problem");
  if (!response.ok) return null;
  const tokens = await response.json();
  session = {
    access_token: tokens.access_token,
    refresh_token: tokens.refresh_token ?? fields.refresh_token,
    expires_at: Date.now() + tokens.expires_in * 1000,
  };
  sessionStorage.setItem(SESSION, JSON.stringify(session));
  return session;
}

/** The access token, refreshed when it is about to expire or is the one the API just refused. */
export async function accessToken(refused) {
  if (!session) throw new SignedOut();
  const isStale = refused === session.access_token || session.expires_at - Date.now() < REFRESH_EARLY_MS;
  if (!isStale) return session.access_token;
  const { refresh_token } = session;
  refreshing ??= askForTokens({ grant_type: "refresh_token", refresh_token }).finally(() => (refreshing = null));
  if (!(await refreshing)) {
    forget();
    throw new SignedOut();
  }
  return session.access_token;
}

/** Who is signed in, as the token says; what they may do, the API decides. */
export function me() {
  const body = atob(session.access_token.split(".")[1].replaceAll("-", "+").replaceAll("_", "/"));
  const claims = JSON.parse(new TextDecoder().decode(Uint8Array.from(body, (c) => c.charCodeAt(0))));
  const groups = [claims["cognito:groups"] ?? []].flat();
  return {
    id: claims.sub,
    username: claims.username ?? claims.sub,
    is: (...roles) => roles.some((role) => groups.includes(role)),
    tenants: groups.filter((group) => group.startsWith("tenant-")).map((group) => group.slice("tenant-".length)),
  };
}

export function forget() {
  session = null;
  sessionStorage.removeItem(SESSION);
}

export async function signOut() {
  const token = session?.refresh_token;
  forget();
  sessionStorage.clear();
  if (token)
    await fetch(`${config.sign_in_url}/oauth2/revoke`, {
      method: "POST",
      body: new URLSearchParams({ token, client_id: config.client_id }),
      credentials: "omit",
      keepalive: true,
      signal: AbortSignal.timeout(4_000),
    }).catch(() => {}); // the tokens are forgotten here all the same, and die of age there
  location.assign(`${config.sign_in_url}/logout?${new URLSearchParams({ client_id: config.client_id, logout_uri: DESK })}`);
}
