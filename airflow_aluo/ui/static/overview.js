/* The sums above the cards, how a run gets on, and what is said where there is nothing to show. */

import { AIRFLOW, SCOPE, follow } from "./airflow.js";
import { button, make, refill, tell } from "./dom.js";
import { count, credits, duration, many } from "./words.js";

/** Milliseconds between two announcements of the progress. */
const OFTEN = 20_000;

const note = (text) =>
  make(
    "div",
    { class: "older" },
    make("dt", { class: "unseen", text: "Note" }),
    make("dd", { text }),
  );

const RUN = SCOPE.run === null ? "the newest run" : "this run";

/** What is said of edits that the server knows of, and cannot show. */
const lost = (unreadable) =>
  `${many(unreadable, "edit")} more cannot be shown: the API server has not read their records yet, or cannot`;

export class Overview {
  #shown = "";
  #told = { sentence: "", at: 0 };

  constructor(section, list, progress) {
    this.section = section;
    this.list = list;
    this.progress = progress;
  }

  update({ totals, progress, truncated, cut, unreadable }) {
    this.section.hidden = totals.edits === 0;
    const shown = JSON.stringify([totals, truncated, cut, unreadable]);
    if (shown !== this.#shown) {
      this.#shown = shown;
      refill(
        this.list,
        ...this.#sums(totals),
        truncated ? note("Older runs are left out") : null,
        cut === null ? null : note(`Only ${many(cut, "task instance")} of ${RUN} are shown; it has more`),
        unreadable ? note(lost(unreadable)) : null,
      );
    }
    this.progress.hidden = progress === null;
    this.progress.textContent = progress ?? "";
    const now = Date.now();
    if (progress === null || progress === this.#told.sentence || now - this.#told.at < OFTEN) return;
    this.#told = { sentence: progress, at: now };
    tell(progress);
  }

  #sums(totals) {
    const sums = [
      ["Edits", count(totals.edits), ""],
      ["Succeeded", count(totals.succeeded), "succeeded"],
      ["Running", count(totals.running), "running"],
      ["Failed", count(totals.failed), "failed"],
      totals.unknown ? ["Unknown", count(totals.unknown), "unknown"] : null,
      totals.credits === null
        ? null
        : ["Credits", credits(totals.credits, totals.credits_estimated).replace(/ credits?$/u, ""), ""],
      totals.mean_seconds === null ? null : ["Mean duration", duration(totals.mean_seconds), ""],
    ];
    return sums
      .filter(Boolean)
      .map(([name, value, kind]) =>
        make("div", { class: kind }, make("dt", { text: name }), make("dd", { text: value })),
      );
  }
}

/** What stands in place of the cards. call: what its button does. */
function notice(title, text, ...more) {
  return [make("strong", { text: title }), make("span", { text }), ...more];
}

const HERE = () => {
  if (SCOPE.dag === null) return "in any DAG that you may read";
  if (SCOPE.run === null) return SCOPE.task === null ? "in this DAG" : "by this task";
  return SCOPE.task === null ? "in this run" : "by this task instance";
};

export const EMPTY = () =>
  notice(
    "No photo edits yet",
    `A task of PhotoEditOperator or PhotoEditBatchOperator puts its before and after here; none has run ${HERE()}.`,
  );

export const UNREADABLE = (unreadable) =>
  notice(
    `${many(unreadable, "photo edit")} cannot be shown`,
    "The API server has not read their records yet, or cannot: they lie in a batch's results file or in an " +
      "XCom backend that is slow or out of its reach, or they were changed or deleted. The page tries again " +
      "by itself. If that does not help, put results_path, and what the XCom backend keeps, where both the " +
      "workers and the API server can read: an object store or a shared folder.",
  );

export const NO_MATCH = (reset) =>
  notice(
    "No edit matches",
    "None of the edits fits these filters.",
    button("Show all edits", reset, { class: "button" }),
  );

export function refusal(error, again) {
  if (error.status === 401) {
    return notice(
      "You are not logged in",
      "Your session has ended, or there was none.",
      make("a", { class: "button", href: AIRFLOW, text: "Log in to Airflow", on: { click: follow } }),
    );
  }
  const retry = button("Try again", again);
  if (error.status === 403)
    return notice(
      "You may not see these edits",
      "It takes the right to read this DAG and its XComs; an Airflow admin gives it.",
    );
  if (error.status === 404)
    return notice("Nothing is here", "Airflow knows no such DAG or run, or it was deleted.", retry);
  if (error.status === 0)
    return notice("Airflow cannot be reached", "The page tries again by itself.", retry);
  return notice(
    "The gallery could not be read",
    `Airflow answered with an error (${error.status}). Its API server's log says why.`,
    retry,
  );
}
