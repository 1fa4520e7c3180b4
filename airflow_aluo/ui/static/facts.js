/* The facts of an edit, as a row of short words. */

import { make } from "./dom.js";
import { bytes, credits, duration, moment } from "./words.js";

/** after: the result that is shown, or null. */
export function facts(card, after) {
  const format = after?.format ?? card.output_format;
  const found = [
    after?.width && after?.height ? ["Size", `${after.width} × ${after.height}`] : null,
    after?.bytes != null ? ["Bytes", bytes(after.bytes)] : null,
    format ? ["Format", format.toUpperCase()] : null,
    card.aspect_ratio ? ["Aspect ratio", card.aspect_ratio] : null,
    card.credits === null ? null : ["Credits", credits(card.credits, card.credits_estimated)],
    card.seconds === null ? null : ["Duration", duration(card.seconds)],
    card.attempt > 1 ? ["Attempt", `attempt ${card.attempt}`] : null,
    card.submitted_at ? ["Submitted", moment(card.submitted_at)] : null,
  ].filter(Boolean);
  if (found.length === 0) return null;
  return make(
    "dl",
    { class: "facts" },
    ...found.map(([name, value]) =>
      make("div", {}, make("dt", { class: "unseen", text: name }), make("dd", { text: value })),
    ),
  );
}
