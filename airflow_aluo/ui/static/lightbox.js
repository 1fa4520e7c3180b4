/* One edit, large. Arrow keys, swipes and buttons go to the next; Escape closes. */

import { downloadLink } from "./cards.js";
import { button, make, refill } from "./dom.js";
import { facts } from "./facts.js";
import { copyButton } from "./prompt.js";
import { Stage, Switch } from "./slider.js";
import { STATES, decided, short } from "./words.js";

/** CSS pixels: a touch that moved less is no swipe. */
const SWIPE = 48;

export class Lightbox {
  #page;
  #card = null;
  #shown = "";
  #from = null;

  /** page: step(key, by) returns the neighbour's card, perhaps of another page, or null; place(key): [n, of]; closed(key). */
  constructor(dialog, page) {
    this.dialog = dialog;
    this.#page = page;
    this.#build();
    dialog.addEventListener("keydown", (event) => this.#key(event));
    dialog.addEventListener("close", () => this.#closed());
    dialog.addEventListener("click", (event) => {
      if (event.target === dialog) dialog.close();
    });
    dialog.addEventListener("touchstart", (event) => this.#touch(event), { passive: true });
    dialog.addEventListener("touchend", (event) => this.#swiped(event), { passive: true });
  }

  get open() {
    return this.dialog.open;
  }

  get key() {
    return this.#card?.key ?? null;
  }

  show(card) {
    if (!this.dialog.open) {
      this.dialog.showModal();
      this.next.focus();
    }
    if (this.#card?.key !== card.key) this.#renew();
    this.update(card);
  }

  /** What is known now of the edit that is shown; nothing moves if it is the same. */
  update(card) {
    this.#card = card;
    const [place, of] = this.#page.place(card.key);
    const shown = JSON.stringify([card, place, of]);
    if (shown === this.#shown) return;
    this.#shown = shown;
    const label = short(card.prompt) || card.task_id;
    this.dialog.setAttribute("aria-label", `Picture: ${label}`);
    this.place.textContent = place ? `${place} of ${of}` : "";
    refill(
      this.title,
      make("span", { class: `badge ${card.state}`, text: STATES[card.state] ?? card.state }),
      card.review
        ? make("span", { class: `badge ${card.review.decision}`, text: decided(card.review) })
        : null,
      make("span", {
        class: "name",
        dir: "auto",
        text: card.map_label ? `${card.task_id} · ${card.map_label}` : card.task_id,
      }),
    );
    this.previous.disabled = place === 1;
    this.next.disabled = place > 0 && place === of;
    this.words.textContent = card.prompt ?? "";
    this.#pictures();
  }

  #build() {
    this.place = make("span", { class: "place" });
    this.title = make("h2", { class: "head" });
    this.close = button(
      "",
      () => this.dialog.close(),
      { class: "button round", "aria-label": "Close", "data-name": "close" },
      "close",
    );
    this.previous = button(
      "",
      () => this.#step(-1),
      { class: "button round turn", "aria-label": "Previous edit" },
      "previous",
    );
    this.next = button(
      "",
      () => this.#step(1),
      { class: "button round turn", "aria-label": "Next edit" },
      "next",
    );
    this.stagePlace = make("div", { class: "large" });
    this.words = make("p", {
      class: "words",
      dir: "auto",
      tabindex: "0",
      role: "group",
      "aria-label": "Prompt",
    });
    this.about = make("div", { class: "about" });
    this.actions = make("div", { class: "actions" });
    this.dialog.append(
      make("header", {}, this.title, this.place, this.close),
      make("div", { class: "show" }, this.previous, this.stagePlace, this.next),
      make("footer", {}, this.words, make("div", { class: "below" }, this.about, this.actions)),
    );
  }

  /** Another edit starts with its first pictures and the divider in the middle. */
  #renew() {
    this.stage = new Stage("large");
    this.switch = new Switch(() => this.#pictures());
    this.stagePlace.replaceChildren(this.stage.element, this.switch.element);
    // After a drag with the mouse, arrow keys are for the next edit again.
    this.stage.element.addEventListener("pointerup", (event) => {
      if (event.target.matches(".range")) setTimeout(() => this.dialog.focus({ preventScroll: true }));
    });
    this.#shown = "";
  }

  #pictures() {
    const card = this.#card;
    this.switch.show(card);
    const chosen = this.switch.of(card);
    this.stage.show({ ...chosen, label: short(card.prompt) || card.task_id, busy: card.state === "running" });
    const error = card.error
      ? make("p", { class: "error", dir: "auto", text: `${card.error.type}: ${card.error.message}` })
      : null;
    refill(this.about, error, facts(card, chosen.after));
    refill(
      this.actions,
      chosen.after ? downloadLink(chosen.after) : null,
      card.prompt === null ? null : copyButton(card.prompt),
    );
  }

  async #step(by) {
    const from = this.#card.key;
    const card = await this.#page.step(from, by);
    if (card === null || !this.dialog.open || this.#card.key !== from) return;
    this.show(card);
    const turned = by > 0 ? this.next : this.previous;
    if (document.activeElement === document.body || turned.disabled)
      (turned.disabled ? this.close : turned).focus();
  }

  #key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    // A step that was taken by the slider does not arrive here.
    if (event.key === "ArrowRight") this.#step(1);
    else if (event.key === "ArrowLeft") this.#step(-1);
    else return;
    event.preventDefault();
  }

  #touch(event) {
    const [touch] = event.touches;
    this.#from =
      event.touches.length === 1 && !event.target.matches(".range")
        ? { x: touch.clientX, y: touch.clientY }
        : null;
  }

  #swiped(event) {
    if (this.#from === null) return;
    const [touch] = event.changedTouches;
    const [x, y] = [touch.clientX - this.#from.x, touch.clientY - this.#from.y];
    this.#from = null;
    if (Math.abs(x) >= SWIPE && Math.abs(x) > 1.5 * Math.abs(y)) this.#step(x < 0 ? 1 : -1);
  }

  #closed() {
    const { key } = this.#card;
    this.#card = null;
    this.#shown = "";
    this.stagePlace.replaceChildren();
    this.#page.closed(key);
  }
}
