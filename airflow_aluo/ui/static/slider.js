/* A before and an after picture in one place, with a divider that can be moved. */

import { picture } from "./airflow.js";
import { icon, make, refill } from "./dom.js";

/** Percent by which an arrow key moves the divider. */
const STEP = 4;

/** Shows one picture, or two with a divider. size: thumb or large. A large one shows the small one until it is there. */
export class Stage {
  #size;
  #shown = "";
  /** Percent from the left at which the divider stands. */
  #at = 50;

  constructor(size) {
    this.#size = size;
    this.element = make("div", { class: "stage", dir: "ltr" });
  }

  /** before, after: a picture or null. label: what they show. busy: a calm sign that the after is being made. */
  show({ before, after, label, busy = false }) {
    const shown = JSON.stringify([before?.picture, after?.picture, label, busy]);
    if (shown === this.#shown) return;
    this.#shown = shown;
    const pictures = [
      before && this.#picture(before, "before", label),
      after && this.#picture(after, "after", label),
    ].filter(Boolean);
    const both = before && after;
    this.element.classList.toggle("pair", Boolean(both));
    this.element.classList.toggle("busy", busy);
    refill(
      this.element,
      ...(pictures.length
        ? pictures
        : [make("div", { class: "nothing" }, icon("picture"), busy ? null : "no picture yet")]),
      before && make("span", { class: "side before", "aria-hidden": "true", text: "Before" }),
      after && make("span", { class: "side after", "aria-hidden": "true", text: "After" }),
      both &&
        make(
          "span",
          { class: "divider", "aria-hidden": "true" },
          make("span", { class: "handle" }, icon("compare")),
        ),
      both && this.#range(label),
      busy && make("span", { class: "bar", "aria-hidden": "true" }),
    );
    this.#move(this.#at);
  }

  #picture(one, side, label) {
    const small = picture(one, "thumb");
    const image = make("img", {
      class: side,
      alt: `${side === "before" ? "Before" : "After"}: ${label}`,
      src: small,
      loading: this.#size === "thumb" ? "lazy" : "eager",
      decoding: "async",
      draggable: "false",
      width: one.width ?? null,
      height: one.height ?? null,
    });
    image.addEventListener("load", () => image.classList.add("there"));
    image.addEventListener("error", () => {
      const gone = make(
        "div",
        { class: `nothing ${side}` },
        icon("picture"),
        `${side} picture not available`,
      );
      image.replaceWith(gone);
    });
    if (this.#size !== "thumb") {
      const large = new Image();
      large.addEventListener("load", () => {
        image.src = large.src;
      });
      large.src = picture(one, this.#size);
    }
    return image;
  }

  #range(label) {
    const range = make("input", {
      type: "range",
      class: "range",
      min: 0,
      max: 100,
      step: "any",
      value: this.#at,
      "data-name": "range",
      "aria-label": `Compare before and after: ${label}`,
    });
    range.addEventListener("input", () => this.#move(Number(range.value)));
    range.addEventListener("keydown", (event) => {
      const steps = {
        ArrowLeft: -STEP,
        ArrowDown: -STEP,
        ArrowRight: STEP,
        ArrowUp: STEP,
        PageDown: -5 * STEP,
        PageUp: 5 * STEP,
        Home: -100,
        End: 100,
      };
      if (!(event.key in steps) || event.ctrlKey || event.metaKey || event.altKey) return;
      event.preventDefault();
      event.stopPropagation();
      this.#move(this.#at + steps[event.key]);
    });
    return range;
  }

  #move(to) {
    this.#at = Math.min(100, Math.max(0, to));
    this.element.style.setProperty("--at", `${this.#at}%`);
    this.element.dataset.at = this.#at < 12 ? "left" : this.#at > 88 ? "right" : "";
    const range = this.element.querySelector(".range");
    if (range === null) return;
    range.value = String(this.#at);
    range.setAttribute(
      "aria-valuetext",
      `${Math.round(this.#at)} % before, ${Math.round(100 - this.#at)} % after`,
    );
  }
}

/** Which of several pictures an edit shows: a row of numbers for each side that has more than one. */
export class Switch {
  #choose;
  #chosen = { before: 0, after: 0 };
  #counts = "";

  /** choose(): called after another picture was chosen. */
  constructor(choose) {
    this.#choose = choose;
    this.element = make("div", { class: "switch", hidden: true });
  }

  /** The pictures to show, {before, after}, each one or null. */
  of(card) {
    const pick = (side) => card[side][Math.min(this.#chosen[side], card[side].length - 1)] ?? null;
    return { before: pick("before"), after: pick("after") };
  }

  show(card) {
    const counts = JSON.stringify([card.before.length, card.after.length, this.#chosen]);
    if (counts === this.#counts) return;
    this.#counts = counts;
    const rows = ["before", "after"].filter((side) => card[side].length > 1);
    this.element.hidden = rows.length === 0;
    refill(this.element, ...rows.map((side) => this.#row(card, side)));
  }

  #row(card, side) {
    const title = side === "before" ? "Before" : "After";
    const numbers = card[side].map((_, number) =>
      make("button", {
        type: "button",
        class: "number",
        text: number + 1,
        "data-name": `${side}${number}`,
        "aria-label": `${title} picture ${number + 1} of ${card[side].length}`,
        "aria-pressed": String(number === this.#chosen[side]),
        on: {
          click: () => {
            this.#chosen[side] = number;
            this.show(card);
            this.#choose();
          },
        },
      }),
    );
    return make(
      "div",
      { class: "row", role: "group", "aria-label": `${title} pictures` },
      make("span", { text: title }),
      ...numbers,
    );
  }
}
