/* What was asked for: shown in three lines or all, and copied. */

import { button, icon, make, tell } from "./dom.js";

async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    // Not over plain http, and not without the frame's leave: then the way of old.
  }
  const field = make("textarea", { class: "unseen copied", readonly: true });
  field.value = text;
  const focused = document.activeElement;
  (focused?.closest("dialog") ?? document.body).append(field);
  field.select();
  const copied = document.execCommand("copy");
  field.remove();
  focused?.focus({ preventScroll: true });
  return copied;
}

/** A button that copies a prompt, and says so. */
export function copyButton(prompt) {
  const made = button(
    "Copy prompt",
    async () => {
      const copied = await copy(prompt);
      made.replaceChildren(icon(copied ? "done" : "failed"), copied ? "Copied" : "Not copied");
      tell(copied ? "Prompt copied" : "The browser did not let the prompt be copied");
      setTimeout(() => made.replaceChildren(icon("copy"), "Copy prompt"), 2_000);
    },
    { class: "button quiet", "data-name": "copy" },
    "copy",
  );
  return made;
}

/** The prompt: three lines of it, and all on demand. */
export class Prompt {
  #text;
  #open = false;

  constructor() {
    this.element = make("div", { class: "prompt" });
    this.words = make("p", { dir: "auto", class: "words" });
    this.more = button("Show all", () => this.#turn(), {
      class: "more",
      "data-name": "more",
      "aria-expanded": "false",
      hidden: true,
    });
    this.element.append(this.words, this.more);
    // Whether three lines are enough is known once there is a width.
    new ResizeObserver(() => this.#measure()).observe(this.words);
  }

  show(text) {
    if (text === this.#text) return;
    this.#text = text;
    this.words.textContent = text ?? "no prompt known";
    this.words.classList.toggle("faint", text === null);
    this.#measure();
  }

  #measure() {
    if (!this.#open) this.more.hidden = this.words.scrollHeight <= this.words.clientHeight + 2;
  }

  #turn() {
    this.#open = !this.#open;
    this.words.classList.toggle("open", this.#open);
    this.more.textContent = this.#open ? "Show less" : "Show all";
    this.more.setAttribute("aria-expanded", String(this.#open));
  }
}
