// Time as people read it: relative, counted down, exact on demand; every such text keeps itself up to date.

const SOON_SECONDS = 30 * 60;
const EXACT = new Intl.DateTimeFormat("en-GB", {
  day: "numeric", month: "short", year: "numeric",
  hour: "2-digit", minute: "2-digit", second: "2-digit", timeZoneName: "short",
});
const ticking = new Set();

setInterval(() => {
  for (const entry of ticking) {
    if (entry.node.isConnected) {
      entry.wasShown = true;
      entry.update();
    } else if (entry.wasShown) ticking.delete(entry);
  }
}, 1000);

/** Updates a node now and every second for as long as it is on the page. */
export function live(node, update) {
  update();
  ticking.add({ node, update, wasShown: false });
  return node;
}

export const secondsTo = (iso) => (Date.parse(iso) - Date.now()) / 1000;
export const exact = (iso) => EXACT.format(new Date(iso));

/** 45 s, 12 min, 3 h 20 min, 2 d 4 h. */
export function duration(seconds) {
  const s = Math.max(0, Math.round(seconds));
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min`;
  const [big, small, names] = s < 86400 ? [3600, 60, ["h", "min"]] : [86400, 3600, ["d", "h"]];
  const rest = Math.floor((s % big) / small);
  return `${Math.floor(s / big)} ${names[0]}${rest ? ` ${rest} ${names[1]}` : ""}`;
}

/** Time somebody took, to the second while it is short. */
export function taken(seconds) {
  const s = Math.round(seconds);
  return s < 60 || s >= 600 ? duration(s) : `${Math.floor(s / 60)} min ${s % 60} s`;
}

/** 4:05 below an hour, a duration above it, "a moment" at the end. */
export function countdown(seconds) {
  const s = Math.floor(seconds);
  if (s <= 0) return "a moment";
  return s < 3600 ? `${Math.floor(s / 60)}:${String(s % 60).padStart(2, "0")}` : duration(s);
}

function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

function timeOf(iso, text) {
  const node = document.createElement("time");
  node.dateTime = iso;
  node.title = exact(iso);
  return live(node, () => setText(node, text(secondsTo(iso))));
}

/** "in 12 min" or "3 h ago". */
export const when = (iso) => timeOf(iso, (s) => (s >= 0 ? `in ${duration(s)}` : `${duration(-s)} ago`));

/** The time left until then, to the second. */
export const left = (iso) => timeOf(iso, countdown);

/** A deadline, marked in words once it is near or gone. */
export function due(iso) {
  const node = document.createElement("span");
  const mark = document.createElement("b");
  node.append(mark, when(iso));
  return live(node, () => {
    const s = secondsTo(iso);
    node.className = s < 0 ? "due overdue" : s < SOON_SECONDS ? "due soon" : "due";
    setText(mark, s < 0 ? "Overdue" : s < SOON_SECONDS ? "Due soon" : "");
    mark.hidden = s >= SOON_SECONDS;
  });
}
