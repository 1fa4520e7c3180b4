/* A card: one edit, before and after, and what is known of it. */

import { SCOPE, follow, instance, picture, runPage } from "./airflow.js";
import { Approval, Choice, nameOf } from "./approvals.js";
import { button, icon, make, refill } from "./dom.js";
import { facts } from "./facts.js";
import { Prompt, copyButton } from "./prompt.js";
import { Stage, Switch } from "./slider.js";
import { STATES, batch, decided, moment, running, short } from "./words.js";

/** Airflow's link to a page of its own. */
const link = (text, address, name, label) =>
  make("a", {
    class: "link",
    href: address,
    text,
    "data-name": name,
    "aria-label": label,
    on: { click: follow },
  });

/** A link that saves a result as it was made. */
export const downloadLink = (one) =>
  make(
    "a",
    { class: "button quiet", href: picture(one, "original"), download: "", "data-name": "download" },
    icon("download"),
    "Download",
  );

/** An edit's place on the page; it stays while what it shows changes. */
export class CardView {
  #shown = {};
  #choice = null;
  #approval = null;

  /** page: what the card may ask of the page: open(key), approvals, elapsed(card), usual(). */
  constructor(key, page) {
    this.page = page;
    this.key = key;
    this.stage = new Stage("thumb");
    this.switch = new Switch(() => {
      this.#pictures();
      this.#details(this.card);
    });
    this.prompt = new Prompt();
    this.title = make("h2", { class: "task" });
    this.head = make("p", { class: "head" });
    this.open = button("", () => page.open(key), { class: "open", "data-name": "open" }, "large");
    const part = (name) => make("div", { class: name });
    this.parts = {
      choice: part("choice"),
      said: part("said"),
      facts: part("about"),
      review: part("review"),
      actions: part("actions"),
    };
    this.element = make(
      "article",
      { class: "card", tabindex: "-1", "data-key": key },
      make("div", { class: "frame" }, this.stage.element, this.open, this.parts.choice),
      this.switch.element,
      make(
        "div",
        { class: "body" },
        make("header", {}, this.title, this.head),
        this.prompt.element,
        this.parts.said,
        this.parts.facts,
        this.parts.review,
        this.parts.actions,
      ),
    );
    this.stage.element.addEventListener("dblclick", () => page.open(key));
  }

  update(card, reviews) {
    this.card = card;
    this.element.dataset.state = card.state;
    const label = short(card.prompt) || card.task_id;
    this.open.setAttribute("aria-label", `Show large: ${label}`);
    this.prompt.show(card.prompt);
    this.#pictures();
    const photo = card.before[0]?.name ?? null;
    this.#once("title", [card.task_id, card.map_label, card.map_index, photo], () => {
      const mapped = card.map_label ?? photo ?? (card.map_index < 0 ? "" : `#${card.map_index}`);
      refill(
        this.title,
        make("span", { text: card.task_id }),
        mapped ? make("span", { class: "mapped", dir: "auto", text: mapped }) : null,
      );
    });
    this.#once("head", [card.state, card.status, card.task_state, card.run_id, card.review], () =>
      this.#head(card),
    );
    this.#once("said", [card.state, card.error, card.waiting_review, card.batch], () =>
      refill(this.parts.said, ...this.#said(card)),
    );
    this.#details(card);
    this.#review(card, card.waiting_review === null ? null : (reviews[card.waiting_review] ?? null));
    this.tick();
  }

  /** Once a second: how long a running edit has been going on. */
  tick() {
    if (this.card.state !== "running" || this.card.batch) return;
    const elapsed = this.page.elapsed(this.card);
    const usual = this.page.usual();
    const place = this.parts.said.querySelector(".elapsed");
    if (place) place.textContent = elapsed === null ? "running" : running(elapsed, usual);
    // Never quite full: it is a habit's time, not a promise.
    const share = elapsed === null ? 0.1 : 0.96 * (1 - Math.exp((-1.6 * elapsed) / Math.max(usual, 1)));
    this.stage.element.style.setProperty("--done", String(Math.max(0.04, share)));
  }

  #once(name, facts, make) {
    const shown = JSON.stringify(facts);
    if (this.#shown[name] === shown) return;
    this.#shown[name] = shown;
    make();
  }

  #pictures() {
    const { card } = this;
    this.switch.show(card);
    const label = short(card.prompt) || card.task_id;
    this.stage.show({ ...this.switch.of(card), label, busy: card.state === "running" });
    this.open.hidden = card.before.length + card.after.length === 0;
  }

  /** The size and the download are those of the picture that is shown. */
  #details(card) {
    const { after } = this.switch.of(card);
    const known = [
      after,
      card.credits,
      card.seconds,
      card.attempt,
      card.output_format,
      card.aspect_ratio,
      card.submitted_at,
    ];
    this.#once("facts", known, () => refill(this.parts.facts, facts(card, after)));
    this.#once("actions", [card.prompt, after?.picture, card.map_index], () => this.#actions(card, after));
  }

  #head(card) {
    const run =
      SCOPE.run === null
        ? link(
            SCOPE.dag === null ? `${card.dag_id} · ${card.run_id}` : card.run_id,
            runPage(card.dag_id, card.run_id),
            "run",
            `Run ${card.run_id}`,
          )
        : null;
    run?.classList.add("run");
    const badge = make("span", {
      class: `badge ${card.state}`,
      title: card.status,
      text: STATES[card.state] ?? card.state,
    });
    const review = card.review
      ? make("span", {
          class: `badge ${card.review.decision}`,
          text: decided(card.review),
          title: card.review.at ? moment(card.review.at) : null,
        })
      : null;
    refill(this.head, badge, review, run);
  }

  #said(card) {
    if (card.batch) return [make("p", { class: "of-batch", text: batch(card.state) })];
    if (card.state === "running") return [make("p", { class: "elapsed" })];
    if (!card.error) return [];
    return [
      make(
        "div",
        { class: "error" },
        make("strong", { text: card.error.type }),
        make("p", { dir: "auto", text: card.error.message }),
      ),
    ];
  }

  #actions(card, after) {
    const page = instance(card);
    refill(
      this.parts.actions,
      after ? downloadLink(after) : null,
      card.prompt === null ? null : copyButton(card.prompt),
      make(
        "span",
        { class: "places" },
        link("Task", `${page}/details`, "task", `Task instance ${card.task_id}`),
        link("Log", page, "log", `Log of ${card.task_id}`),
      ),
    );
  }

  #review(card, review) {
    const set = review !== null && review.multiple && review.answered === null && card.option !== null;
    const single = review !== null && !review.multiple && review.answered === null;
    const asks = review === null ? null : `${nameOf(review)} ${card.option}`;
    if (!set) this.#choice = null;
    else if (this.#choice?.asks !== asks)
      this.#choice = new Choice(this.page.approvals, review, card.option, asks);
    const box = this.#choice?.element ?? null;
    if (this.parts.choice.firstChild !== box) this.parts.choice.replaceChildren(...(box ? [box] : []));
    this.#choice?.update();
    this.element.classList.toggle("chosen", Boolean(this.#choice?.chosen));
    if (!single) this.#approval = null;
    else if (this.#approval === null || nameOf(this.#approval.review) !== nameOf(review))
      this.#approval = new Approval(this.page.approvals, review);
    const asked = this.#approval?.element ?? null;
    if (this.parts.review.firstChild !== asked) {
      const focused = this.parts.review.contains(document.activeElement);
      this.parts.review.replaceChildren(...(asked ? [asked] : []));
      if (focused) this.element.focus({ preventScroll: true });
    }
    this.#approval?.update(review);
  }
}
