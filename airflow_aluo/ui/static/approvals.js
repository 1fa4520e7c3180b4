/* What a person is asked: about one edit on its card, about a set in a bar above the cards. */

import { SCOPE } from "./airflow.js";
import { Refused, answer } from "./api.js";
import { button, make, refill, tell } from "./dom.js";
import { many } from "./words.js";

/** How an option of an approval looks, by its kind; what it says is the operator's. */
const LOOKS = { approve: "button good", reject: "button bad", reject_all: "button bad" };

const MESSAGES = {
  0: "Airflow cannot be reached: nothing was sent. Try again.",
  401: "Your session has ended: log in to Airflow again, then answer.",
  403: "You may not answer this: Airflow does not let you, or it was asked of other people.",
  404: "This question is no longer there.",
  409: "Somebody has answered already.",
};

/** Each try of the review task asks anew, perhaps about other pictures. */
export const nameOf = (review) =>
  JSON.stringify([review.dag_id, review.run_id, review.task_id, review.map_index, review.attempt]);

/** An approval's options of a kind; the options as they are sent. */
const ofKind = (review, kind) => review.options.filter((_, index) => review.kinds[index] === kind);

/** Which edits of which set are chosen, and the way an answer takes. Survives pages, filters and refreshes. */
export class Approvals {
  #chosen = new Map();
  #views = new Map();

  /** refresh(): ask for the edits anew; changed(): show the choices anew. */
  constructor(refresh, changed) {
    this.refresh = refresh;
    this.changed = changed;
  }

  chosen(review) {
    const name = nameOf(review);
    if (!this.#chosen.has(name)) this.#chosen.set(name, new Set());
    return this.#chosen.get(name);
  }

  choose(review, labels, on) {
    for (const label of labels) this.chosen(review)[on ? "add" : "delete"](label);
    this.changed();
  }

  /** Send an answer; returns the sentence to show, null if it was taken. */
  async send(review, options, prompt) {
    const params = Object.fromEntries(
      Object.entries(review.params).map(([name, param]) => [name, param?.value ?? null]),
    );
    if (prompt !== null && "prompt" in params) params.prompt = prompt;
    try {
      await answer(review, options, params);
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      if (error.status === 409 || error.status === 404) await this.refresh();
      return MESSAGES[error.status] ?? (error.message || "Airflow did not take the answer.");
    }
    tell("Answer sent");
    await this.refresh();
    return null;
  }

  /** The bars of the sets that wait, and a word on those that wait elsewhere.
   *  waiting: how many there are in all; here: indices with a card on the page. */
  bars(reviews, waiting, here) {
    const open = reviews
      .map((review, index) => ({ review, index }))
      .filter(({ review }) => review.answered === null);
    const sets = open.filter(({ review }) => review.multiple);
    const shown = new Set(sets.map(({ review }) => nameOf(review)));
    for (const name of [...this.#views.keys()]) if (!shown.has(name)) this.#views.delete(name);
    const bars = sets.map(({ review }) => {
      const name = nameOf(review);
      if (!this.#views.has(name)) this.#views.set(name, new Approval(this, review));
      const view = this.#views.get(name);
      view.update(review);
      return view.element;
    });
    const away = waiting - open.filter(({ review, index }) => review.multiple || here.has(index)).length;
    const sentence =
      away === 1
        ? "1 more approval waits for an answer on another page."
        : `${away} more approvals wait for an answer on other pages.`;
    return away > 0 ? [...bars, make("p", { class: "elsewhere", text: sentence })] : bars;
  }
}

/** The box on a card of a set. */
export class Choice {
  /** asks: what review and option are called together. */
  constructor(approvals, review, option, asks) {
    this.set = () => approvals.chosen(review);
    this.option = option;
    this.asks = asks;
    this.box = make("input", {
      type: "checkbox",
      "data-name": "choice",
      "aria-label": `Choose ${option}`,
      on: { change: () => approvals.choose(review, [option], this.box.checked) },
    });
    this.element = make("label", {}, this.box, make("span", { "aria-hidden": "true", text: "Choose" }));
  }

  get chosen() {
    return this.set().has(this.option);
  }

  update() {
    this.box.checked = this.chosen;
  }
}

/** A question with its buttons. */
export class Approval {
  #sending = false;
  /** The kind of the option that is to be confirmed, or null. */
  #asking = null;
  #shown = "";

  constructor(approvals, review) {
    this.approvals = approvals;
    this.review = review;
    this.subject = make("p", { class: "subject", dir: "auto" });
    this.state = make("p", { class: "state" });
    this.buttons = make("div", { class: "buttons" });
    this.confirm = make("div", { class: "confirm" });
    this.error = make("p", { class: "refused", role: "alert" });
    this.element = make(
      "section",
      {
        class: review.multiple ? "approval set" : "approval",
        tabindex: "-1",
        "aria-label": `Approval: ${review.subject}`,
      },
      make("div", { class: "question" }, this.subject, this.state),
      this.buttons,
      this.confirm,
      this.error,
    );
  }

  update(review) {
    this.review = review;
    this.subject.textContent = SCOPE.dag === null ? `${review.dag_id}: ${review.subject}` : review.subject;
    const labels = this.#labels();
    const chosen = labels.filter((label) => this.approvals.chosen(review).has(label));
    const shown = JSON.stringify([chosen.length, review.options, this.#asking, this.#sending]);
    if (shown === this.#shown) return;
    this.#shown = shown;
    this.state.hidden = !review.multiple;
    if (review.multiple)
      this.state.textContent = `Choose the good ones: ${chosen.length} of ${many(labels.length, "edit")} chosen`;
    refill(this.buttons, ...(review.multiple ? this.#ofSet(labels, chosen) : this.#ofOne()));
    this.#confirmation(labels, chosen);
  }

  #labels() {
    return ofKind(this.review, "edit");
  }

  #ofOne() {
    return this.review.options.map((option, index) => {
      const kind = this.review.kinds[index];
      return kind === "redo"
        ? this.#asks(option, kind)
        : this.#button(option, () => this.#send([option]), { class: LOOKS[kind] ?? "button" });
    });
  }

  #ofSet(labels, chosen) {
    const all = chosen.length === labels.length;
    const others = labels.length - chosen.length;
    return [
      this.#button(
        all ? "Choose none" : "Choose all",
        () => this.approvals.choose(this.review, labels, !all),
        { class: "button quiet", "data-name": "all" },
      ),
      this.#button("Approve chosen", () => this.#send(chosen), {
        class: "button good",
        disabled: chosen.length === 0,
        title: others ? `the other ${others} will be rejected` : null,
      }),
      ...ofKind(this.review, "redo_others").map((option) =>
        this.#asks(option, "redo_others", { disabled: all }),
      ),
      ...ofKind(this.review, "reject_all").map((option) => this.#asks(option, "reject_all")),
    ];
  }

  /** A button for an option that asks a second question. */
  #asks(option, kind, options = {}) {
    return this.#button(option, () => this.#ask(kind), {
      class: LOOKS[kind] ?? "button",
      "aria-expanded": String(this.#asking === kind),
      ...options,
      "data-name": kind,
    });
  }

  #button(text, call, options = {}) {
    return button(text, call, { "data-name": text, ...options, disabled: this.#sending || options.disabled });
  }

  #ask(what) {
    this.#asking = this.#asking === what ? null : what;
    this.error.textContent = "";
    this.update(this.review);
    this.confirm.querySelector("textarea, button")?.focus();
  }

  #confirmation(labels, chosen) {
    if (this.#asking === null) {
      this.confirm.replaceChildren();
      return;
    }
    const cancel = this.#button(
      "Cancel",
      () => {
        const from = this.#asking;
        this.#ask(from);
        [...this.buttons.children].find((one) => one.dataset.name === from)?.focus();
      },
      { class: "button quiet" },
    );
    if (this.#asking === "reject_all") {
      refill(
        this.confirm,
        make("p", { text: `Reject all ${labels.length}? Nothing of this set goes on.` }),
        make(
          "div",
          { class: "buttons" },
          this.#button("Yes, reject all", () => this.#send(ofKind(this.review, "reject_all")), { class: "button bad" }),
          cancel,
        ),
      );
      return;
    }
    const written = this.confirm.querySelector("textarea")?.value;
    const present = this.review.params.prompt?.value ?? "";
    const field = make("textarea", {
      rows: 3,
      dir: "auto",
      "data-name": "prompt",
      placeholder: this.review.multiple ? "each keeps its own prompt" : "the same prompt again",
    });
    field.value = written ?? present;
    const others = labels.length - chosen.length;
    const text = this.review.multiple ? `Redo ${many(others, "edit")}` : "Redo it";
    const options = [...chosen, ...ofKind(this.review, this.#asking)];
    const fate = chosen.length ? `; what you have chosen (${chosen.length}) is approved` : "";
    refill(
      this.confirm,
      make(
        "label",
        {},
        make("span", { text: "Prompt for the new edit" + (this.review.multiple ? "s" : "") }),
        field,
      ),
      this.review.multiple ? make("p", { text: `Left empty, each keeps its own prompt${fate}.` }) : null,
      make(
        "div",
        { class: "buttons" },
        this.#button(text, () => this.#send(options, field.value.trim() || present), {
          class: "button main",
          "data-name": "confirm",
        }),
        cancel,
      ),
    );
  }

  async #send(options, prompt = null) {
    this.#sending = true;
    this.error.textContent = "";
    this.element.focus({ preventScroll: true });
    this.update(this.review);
    const refused = await this.approvals.send(this.review, options, prompt);
    this.#sending = false;
    if (refused === null) this.#asking = null;
    this.error.textContent = refused ?? "";
    this.update(this.review);
  }
}
