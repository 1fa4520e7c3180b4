/* Which edits are shown: by state, task, and words of the prompt. Kept in the address, so a reload keeps them. */

import { SCOPE, remember, remembered } from "./airflow.js";
import { make, refill } from "./dom.js";
import { STATES, count } from "./words.js";

/** Milliseconds without a key before the search asks. */
const PAUSE = 300;

export class Filters {
  #changed;
  #timer = 0;
  #counts = "";
  #tasks = new Set();

  /** changed(): the edits are to be asked for anew. */
  constructor(form, changed) {
    this.form = form;
    this.#changed = changed;
    const kept = remembered();
    this.state = kept.get("state") in STATES ? kept.get("state") : "";
    this.task = SCOPE.task === null ? (kept.get("task") ?? "") : "";
    this.text = kept.get("text") ?? "";
    this.page = Math.max(0, (Number.parseInt(kept.get("page") ?? "1", 10) || 1) - 1);
    this.#build();
  }

  get any() {
    return Boolean(this.state || this.task || this.text);
  }

  reset() {
    this.search.value = "";
    this.select.value = "";
    this.#set({ state: "", task: "", text: "" });
    this.search.focus({ preventScroll: true });
  }

  turn(page) {
    this.page = page;
    this.#keep();
  }

  /** Renew what can be chosen. */
  update({ totals, tasks }) {
    this.form.hidden = totals.edits === 0 && !this.any;
    const counts = JSON.stringify([totals, this.state]);
    if (counts !== this.#counts) {
      this.#counts = counts;
      refill(
        this.chips,
        this.#chip("", "All", totals.edits),
        ...Object.entries(STATES)
          .filter(([state]) => state !== "unknown" || totals.unknown > 0 || this.state === "unknown")
          .map(([state, name]) => this.#chip(state, name, totals[state])),
      );
    }
    const known = new Set([...this.#tasks, ...tasks, ...(this.task ? [this.task] : [])]);
    this.select.parentElement.hidden = SCOPE.task !== null || known.size < 2;
    if (known.size === this.#tasks.size) return;
    this.#tasks = known;
    this.select.replaceChildren(
      make("option", { value: "", text: "All tasks" }),
      ...[...known].sort().map((task) => make("option", { value: task, text: task })),
    );
    this.select.value = this.task;
  }

  #build() {
    this.chips = make("div", { class: "chips", role: "group", "aria-label": "State" });
    this.select = make("select", {
      id: "task",
      name: "task",
      on: { change: () => this.#set({ task: this.select.value }) },
    });
    this.search = make("input", {
      type: "search",
      name: "text",
      placeholder: "Search in prompts",
      autocomplete: "off",
      spellcheck: "false",
      dir: "auto",
    });
    this.search.value = this.text;
    const look = () => {
      clearTimeout(this.#timer);
      if (this.search.value.trim() !== this.text) this.#set({ text: this.search.value.trim() });
    };
    this.search.addEventListener("input", () => {
      clearTimeout(this.#timer);
      this.#timer = setTimeout(look, PAUSE);
    });
    this.form.addEventListener("submit", (event) => {
      event.preventDefault();
      look();
    });
    this.form.append(
      this.chips,
      make(
        "div",
        { hidden: true },
        make("label", { class: "unseen", for: "task", text: "Task" }),
        this.select,
      ),
      make(
        "label",
        { class: "find" },
        make("span", { class: "unseen", text: "Search in prompts" }),
        this.search,
      ),
    );
  }

  #chip(state, name, number) {
    return make(
      "button",
      {
        type: "button",
        class: `chip ${state}`,
        "aria-pressed": String(this.state === state),
        "data-name": `chip-${state}`,
        on: { click: () => this.#set({ state }) },
      },
      make("span", { text: name }),
      make("span", { class: "count", text: count(number) }),
    );
  }

  #set(values) {
    Object.assign(this, values);
    this.page = 0;
    for (const chip of this.chips.children)
      chip.setAttribute("aria-pressed", String(chip.dataset.name === `chip-${this.state}`));
    this.#keep();
    this.#changed();
  }

  #keep() {
    const values = new URLSearchParams();
    for (const name of ["state", "task", "text"]) if (this[name]) values.set(name, this[name]);
    if (this.page > 0) values.set("page", String(this.page + 1));
    remember(values);
  }
}
