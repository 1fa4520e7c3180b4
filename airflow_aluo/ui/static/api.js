/* The gallery's data, and the one thing that the page sends: an answer. */

import { SCOPE, answerOf, below } from "./airflow.js";

/** Edits on one page. */
export const LIMIT = 24;

/** A reply that is none of 200; status 0: there was no reply. */
export class Refused extends Error {
  constructor(status, detail) {
    super(detail);
    this.status = status;
  }
}

async function ask(address, options) {
  let reply;
  try {
    reply = await fetch(address, { credentials: "same-origin", cache: "no-cache", ...options });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Refused(0, "");
  }
  let data = null;
  try {
    data = await reply.json();
  } catch (error) {
    if (error.name === "AbortError") throw error;
    if (reply.ok) throw new Refused(0, "");
  }
  if (!reply.ok) throw new Refused(reply.status, typeof data?.detail === "string" ? data.detail : "");
  return data;
}

/** What the filters ask for, as the query that the list and the zip understand. */
export function query(filters) {
  const values = new URLSearchParams();
  const task = SCOPE.task ?? filters.task;
  if (task) values.set("task_id", task);
  if (SCOPE.map !== null) values.set("map_index", String(SCOPE.map));
  if (filters.state) values.set("state", filters.state);
  if (filters.text) values.set("text", filters.text);
  return values;
}

/** One page of the edits. page: from 0. Raises Refused, and AbortError once signal says so. */
export function edits(filters, page, signal) {
  const values = query(filters);
  values.set("offset", String(page * LIMIT));
  values.set("limit", String(LIMIT));
  return ask(`${below.edits()}?${values}`, { signal });
}

/** Answer an approval by Airflow's own API, with the rights of the person before the screen. */
export function answer(review, chosen, params) {
  return ask(answerOf(review), {
    method: "PATCH",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ chosen_options: chosen, params_input: params }),
  });
}
