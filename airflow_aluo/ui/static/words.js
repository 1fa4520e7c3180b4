/* Numbers and times as people read them. */

const COUNT = new Intl.NumberFormat(undefined, { maximumFractionDigits: 1 });
const TIME = new Intl.DateTimeFormat(undefined, {
  month: "short",
  day: "numeric",
  hour: "2-digit",
  minute: "2-digit",
});

export const count = (number) => COUNT.format(number);

/** "1 edit", "2 edits". */
export const many = (number, noun) => `${count(number)} ${noun}${number === 1 ? "" : "s"}`;

/** Seconds as "0:12", "12:03" or "1:02:03". */
export function clock(seconds) {
  const whole = Math.max(0, Math.floor(seconds));
  const two = (number) => String(number).padStart(2, "0");
  const [hours, minutes] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60];
  return hours ? `${hours}:${two(minutes)}:${two(whole % 60)}` : `${minutes}:${two(whole % 60)}`;
}

/** Seconds as "0.8 s", "18 s", "2 min 5 s" or "1 h 4 min". */
export function duration(seconds) {
  if (seconds < 10) return `${COUNT.format(seconds)} s`;
  const whole = Math.round(seconds);
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  return `${Math.floor(whole / 3600)} h ${Math.floor(whole / 60) % 60} min`;
}

export function bytes(number) {
  if (number < 1000) return `${number} B`;
  if (number < 1_000_000) return `${Math.round(number / 1000)} KB`;
  return `${COUNT.format(number / 1_000_000)} MB`;
}

/** "40 credits", or "~40 credits" where it is an estimate. */
export const credits = (number, estimated) => `${estimated ? "~" : ""}${many(number, "credit")}`;

export const moment = (iso) => TIME.format(new Date(iso));

export const STATES = { succeeded: "Succeeded", running: "Running", failed: "Failed", unknown: "Unknown" };

export const DECISIONS = { approved: "approved", redo: "to be redone", rejected: "rejected" };

/** "approved by vera"; "rejected on timeout" where nobody answered. */
export const decided = (review) =>
  (DECISIONS[review.decision] ?? review.decision) + (review.by ? ` by ${review.by}` : " on timeout");

/** What is said of a running edit. elapsed, usual: seconds. */
export const running = (elapsed, usual) =>
  elapsed <= usual
    ? `running, ${clock(elapsed)} of about ${clock(usual)}`
    : `running, ${clock(elapsed)}, usually about ${clock(usual)}`;

/** What is said of a batch that has told nothing of its edits. */
export const batch = (state) =>
  state === "running"
    ? "A batch is under way: its log tells how far it is. Its edits are shown when it has ended."
    : "A batch that ended without telling of its edits: its log says why.";

/** The first words of a prompt, for labels. */
export function short(prompt) {
  const words = (prompt ?? "").trim().replace(/\s+/gu, " ");
  const letters = [...words.slice(0, 200)];
  return letters.length > 60 ? `${letters.slice(0, 59).join("")}…` : words;
}
