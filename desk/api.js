// Calls of the API: the token, conditional reads, and errors in words that say what to do.

import { SignedOut, accessToken, apiUrl, forget } from "./session.js";

const REMEMBERED = 60;
const seen = new Map();

/** A call that did not work: a code to branch on, a message to show. */
export class ApiError extends Error {
  constructor(status, code, message, retryAfter) {
    super(message);
    Object.assign(this, { status, code, retryAfter });
  }
}

async function send(method, url, { body, signal, token, etag }) {
  const headers = { authorization: `Bearer ${token}` };
  if (etag) headers["if-none-match"] = etag;
  if (body) headers["content-type"] = "application/json";
  const limits = [AbortSignal.timeout(20_000), ...(signal ? [signal] : [])];
  return fetch(url, {
    method,
    headers,
    body: body && JSON.stringify(body),
    credentials: "omit",
    cache: "no-store",
    signal: AbortSignal.any(limits),
  });
}

async function call(method, path, { query = {}, body, signal } = {}) {
  const asked = new URLSearchParams(Object.entries(query).filter(([, value]) => value));
  const url = `${apiUrl()}${path}${asked.size ? `?${asked}` : ""}`;
  const known = method === "GET" ? seen.get(url) : undefined;
  let response;
  let data;
  try {
    const token = await accessToken();
    response = await send(method, url, { body, signal, token, etag: known?.etag });
    if (response.status === 401) {
      response = await send(method, url, { body, signal, token: await accessToken(token), etag: known?.etag });
      if (response.status === 401) {
        forget();
        throw new SignedOut();
      }
    }
    if (response.status === 304 && known) return known.data;
    data = await (response.ok ? response.json() : response.json().catch(() => null));
  } catch (error) {
    throw signal?.aborted || error instanceof SignedOut ? error : unreached(error);
  }
  if (!response.ok) throw refusal(response, data);
  if (method === "GET") remember(url, response.headers.get("etag"), data);
  return data;
}

function remember(url, etag, data) {
  seen.delete(url);
  if (etag) seen.set(url, { etag, data });
  if (seen.size > REMEMBERED) seen.delete(seen.keys().next().value);
}

function unreached(error) {
  if (!navigator.onLine) return new ApiError(0, "OFFLINE", "You are offline. Check the connection and try again.");
  if (error.name === "TimeoutError") return new ApiError(0, "SLOW", "The service did not answer in time. Try again.");
  return new ApiError(0, "UNREACHED", "The service cannot be reached. Check the connection and try again.");
}

function refusal(response, data) {
  const said = data?.error?.message ?? data?.message ?? "";
  const after = Number(response.headers.get("retry-after")) || undefined;
  const code = data?.error?.code ?? String(response.status);
  const { status } = response;
  let message = said || `The service refused this (${status}).`;
  if (status === 403 && !said) message = "You may not do this. Ask your operator if you think you should.";
  if (status === 404 && !said) message = "There is nothing here. Check the address or the id.";
  if (status === 429) message = `Too many calls at once. Try again in ${after ?? "a few"} seconds.`;
  if (status >= 500)
    message = `The service has a problem (${status}). Try again in a minute; if it stays so, tell your operator.`;
  return new ApiError(status, code, message, after);
}

/** Reads; the very same object comes back for as long as nothing has changed. */
export const get = (path, options) => call("GET", path, options);
export const post = (path, body, options) => call("POST", path, { ...options, body });
export const remove = (path, options) => call("DELETE", path, options);
export const forgetAll = () => seen.clear();
