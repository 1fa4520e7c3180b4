/* The page: asks for the edits, shows them, and keeps them true. */

import { FRAME, SCOPE, asked, below, follow, followTheme, learnTab, runPage } from "./airflow.js";
import { LIMIT, Refused, edits, query } from "./api.js";
import { Approvals } from "./approvals.js";
import { CardView } from "./cards.js";
import { Chart } from "./chart.js";
import { arrange, button, make, refill } from "./dom.js";
import { Filters } from "./filters.js";
import { Lightbox } from "./lightbox.js";
import { EMPTY, NO_MATCH, Overview, UNREADABLE, refusal } from "./overview.js";
import { Refresh } from "./refresh.js";
import { count } from "./words.js";

const place = (id) => document.getElementById(id);

class Gallery {
  #views = new Map();
  #data = null;
  /** What is to add to this machine's clock for the server's, in milliseconds. */
  #ahead = 0;
  #asking = null;
  #message = "";
  #openFirst = asked("open") === "first";

  constructor() {
    this.refresh = new Refresh(() => this.#load());
    this.filters = new Filters(place("filters"), () => this.refresh.now());
    this.overview = new Overview(place("overview"), place("totals"), place("progress"));
    this.chart = new Chart(place("chart"));
    this.approvals = new Approvals(
      () => this.refresh.now(),
      () => this.#render(),
    );
    this.lightbox = new Lightbox(place("lightbox"), {
      step: (key, by) => this.#step(key, by),
      place: (key) => this.#place(key),
      closed: (key) => this.#closed(key),
    });
    this.page = {
      open: (key) => this.lightbox.show(this.#data.cards.find((card) => card.key === key)),
      approvals: this.approvals,
      usual: () => this.#data.usual_seconds,
      elapsed: (card) =>
        card.submitted_at === null ? null : (Date.now() + this.#ahead - Date.parse(card.submitted_at)) / 1000,
    };
    setInterval(() => {
      if (!document.hidden) for (const view of this.#views.values()) view.tick();
    }, 1_000);
  }

  start() {
    this.#skeleton();
    return this.refresh.now();
  }

  async #load() {
    this.#asking?.abort();
    const asking = new AbortController();
    this.#asking = asking;
    try {
      const data = await edits(this.filters, this.filters.page, asking.signal);
      const last = Math.max(0, Math.ceil(data.matched / LIMIT) - 1);
      if (this.filters.page > last) {
        // Fewer than there were, or an address of old: the last page that there is.
        this.filters.turn(last);
        return this.#load();
      }
      this.#data = data;
      if (learnTab(data.run_tab)) title();
      this.#ahead = Date.parse(data.now) - Date.now();
      this.#banner("");
      this.#render();
      return data.live ? "live" : "quiet";
    } catch (error) {
      if (error.name === "AbortError") return "overtaken";
      if (!(error instanceof Refused)) throw error;
      return this.#refused(error);
    }
  }

  #refused(error) {
    const final = error.status >= 400 && error.status < 500 && error.status !== 429;
    if (this.#data !== null && !final) {
      this.#banner("Cannot reach Airflow, trying again …");
      return "failed";
    }
    this.#data = null;
    this.#views.clear();
    for (const id of ["overview", "filters", "reviews", "pages", "zip"]) place(id).hidden = true;
    if (this.lightbox.open) place("lightbox").close();
    arrange(place("cards"), []);
    this.#banner("");
    this.#say(
      `refused ${error.status}`,
      refusal(error, () => this.refresh.now()),
    );
    return final ? "stop" : "failed";
  }

  #render() {
    const data = this.#data;
    if (data === null) return;
    this.filters.update(data);
    this.overview.update(data);
    this.chart.update(data.runs);
    this.#zip(data.totals);
    this.#cards(data);
    const here = new Set(data.cards.map((card) => card.waiting_review));
    const bars = this.approvals.bars(data.reviews, data.reviews_waiting, here);
    arrange(place("reviews"), bars);
    place("reviews").hidden = bars.length === 0;
    this.#pages(data.matched);
    if (data.cards.length) this.#say("", []);
    else if (this.filters.any)
      this.#say(
        "none",
        NO_MATCH(() => this.filters.reset()),
      );
    else if (data.unreadable) this.#say(`unreadable ${data.unreadable}`, UNREADABLE(data.unreadable));
    else this.#say("empty", EMPTY());
    this.#followLightbox(data.cards);
  }

  #cards({ cards, reviews }) {
    const keys = new Set(cards.map((card) => card.key));
    for (const key of [...this.#views.keys()]) if (!keys.has(key)) this.#views.delete(key);
    const views = cards.map((card) => {
      if (!this.#views.has(card.key)) this.#views.set(card.key, new CardView(card.key, this.page));
      const view = this.#views.get(card.key);
      view.update(card, reviews);
      return view.element;
    });
    arrange(place("cards"), views);
    place("cards").setAttribute("aria-busy", "false");
  }

  #followLightbox(cards) {
    if (this.lightbox.open) {
      const card = cards.find(({ key }) => key === this.lightbox.key);
      if (card) this.lightbox.update(card);
    } else if (this.#openFirst) {
      const first = cards.find((card) => card.after.length > 0);
      if (first) this.lightbox.show(first);
      if (first) this.#openFirst = false;
    }
  }

  /** The edit before or after that of this key; turns the page where it stands on another. */
  async #step(key, by) {
    const cards = this.#data?.cards ?? [];
    const at = cards.findIndex((card) => card.key === key);
    if (at < 0) return cards[0] ?? null;
    if (cards[at + by]) return cards[at + by];
    const page = this.filters.page + by;
    if (page < 0 || page * LIMIT >= this.#data.matched) return null;
    this.filters.turn(page);
    await this.refresh.now();
    return (by > 0 ? this.#data?.cards[0] : this.#data?.cards.at(-1)) ?? null;
  }

  #place(key) {
    const at = this.#data.cards.findIndex((card) => card.key === key);
    return at < 0 ? [0, 0] : [this.filters.page * LIMIT + at + 1, this.#data.matched];
  }

  #closed(key) {
    const view = this.#views.get(key);
    if (!view) return;
    view.element.scrollIntoView({ block: "nearest" });
    view.open.focus({ preventScroll: true });
  }

  #zip(totals) {
    const link = place("zip");
    link.hidden = SCOPE.run === null || (SCOPE.map ?? -1) >= 0 || totals.pictures === 0;
    if (link.hidden) return;
    const values = query(this.filters);
    values.delete("map_index");
    link.setAttribute("href", `${below.zip()}${String(values) ? `?${values}` : ""}`);
  }

  #pages(matched) {
    const nav = place("pages");
    const last = Math.max(0, Math.ceil(matched / LIMIT) - 1);
    const at = this.filters.page;
    nav.hidden = last === 0;
    const turn = async (page) => {
      this.filters.turn(page);
      await this.refresh.now();
      place("filters").scrollIntoView({ block: "start" });
    };
    const to = (text, page, options = {}) =>
      button(text, () => turn(page), {
        disabled: page < 0 || page > last || page === at,
        "data-name": text,
        ...options,
      });
    refill(
      nav,
      to("First", 0, { class: "button quiet" }),
      to("Previous", at - 1),
      make("span", { class: "where", text: `Page ${count(at + 1)} of ${count(last + 1)}` }),
      to("Next", at + 1),
      to("Last", last, { class: "button quiet" }),
    );
  }

  #say(what, parts) {
    if (what === this.#message) return;
    this.#message = what;
    const message = place("message");
    message.hidden = parts.length === 0;
    refill(message, ...parts);
    place("cards").setAttribute("aria-busy", "false");
  }

  #banner(sentence) {
    const banner = place("banner");
    if (banner.textContent !== sentence) banner.textContent = sentence;
    banner.hidden = sentence === "";
  }

  /** Empty cards, so that nothing jumps when the first answer comes. */
  #skeleton() {
    place("cards").append(
      ...Array.from({ length: 4 }, () =>
        make(
          "div",
          { class: "card skeleton", "aria-hidden": "true" },
          make("div", { class: "stage" }),
          make("div", { class: "body" }),
        ),
      ),
    );
  }
}

function title() {
  const names = [SCOPE.dag, SCOPE.run, SCOPE.task].filter((name) => name !== null);
  if (SCOPE.map !== null && SCOPE.map >= 0) names.push(`#${SCOPE.map}`);
  if (names.length) document.title = `Photo edits · ${names.at(-1)}`;
  document.documentElement.classList.toggle("framed", FRAME !== null);
  // Within Airflow its own headline says where we are; alone, the run is one step up from its task.
  const up =
    SCOPE.run !== null && SCOPE.task !== null
      ? make("a", {
          class: "link",
          href: runPage(SCOPE.dag, SCOPE.run),
          text: "all of this run",
          "data-name": "up",
          on: { click: follow },
        })
      : null;
  refill(
    place("scope"),
    names.length ? make("span", { text: names.join(" › ") }) : make("span", { text: "All DAGs" }),
    up,
  );
}

followTheme();
title();
await new Gallery().start();
