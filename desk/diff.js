// A word diff, bounded: the longest common run of words, or the whole middle replaced when there is too much of it.

import { el } from "./dom.js";

const MAX_CELLS = 2_000_000;
const TOKENS = /\s+|[\p{L}\p{N}]+|[^\s\p{L}\p{N}]/gu;

/** What turns one text into the other: [["=" | "-" | "+", text], ...]. */
export function wordDiff(before, after) {
  const a = before.match(TOKENS) ?? [];
  const b = after.match(TOKENS) ?? [];
  let start = 0;
  while (start < a.length && start < b.length && a[start] === b[start]) start += 1;
  let end = 0;
  while (end < a.length - start && end < b.length - start && a[a.length - 1 - end] === b[b.length - 1 - end]) end += 1;
  const changes = [];
  const add = (sign, text) => {
    if (changes.at(-1)?.[0] === sign) changes.at(-1)[1] += text;
    else if (text) changes.push([sign, text]);
  };
  add("=", a.slice(0, start).join(""));
  middle(a.slice(start, a.length - end), b.slice(start, b.length - end), add);
  add("=", a.slice(a.length - end).join(""));
  return changes;
}

function middle(a, b, add) {
  const width = b.length + 1;
  if (a.length * b.length > MAX_CELLS) {
    add("-", a.join(""));
    add("+", b.join(""));
    return;
  }
  const common = new Uint32Array((a.length + 1) * width);
  for (let i = a.length - 1; i >= 0; i -= 1)
    for (let j = b.length - 1; j >= 0; j -= 1)
      common[i * width + j] =
        a[i] === b[j]
          ? common[(i + 1) * width + j + 1] + 1
          : Math.max(common[(i + 1) * width + j], common[i * width + j + 1]);
  let i = 0;
  let j = 0;
  while (i < a.length || j < b.length) {
    if (i < a.length && j < b.length && a[i] === b[j]) {
      add("=", a[i]);
      i += 1;
      j += 1;
    } else if (j >= b.length || (i < a.length && common[(i + 1) * width + j] >= common[i * width + j + 1])) {
      add("-", a[i]);
      i += 1;
    } else {
      add("+", b[j]);
      j += 1;
    }
  }
}

const TAGS = { "=": "span", "-": "del", "+": "ins" };
export const showDiff = (changes) => changes.map(([sign, text]) => el(TAGS[sign] ?? "span", {}, text));
