/* What each run cost and how long its edits took: bars, a line, and the same as a table for those who do not see it. */

import { follow, runPage } from "./airflow.js";
import { draw, make } from "./dom.js";
import { count, duration, many, moment } from "./words.js";

/** Most runs that are drawn, the newest; heights and margins in CSS pixels. */
const MOST = 40;
const HEIGHT = 96;
const TOP = 10;
const SIDE = 44;
const BAR = 26;
/** The figure's own, as in gallery.css. */
const PADDING = 12;

const sentence = (run) =>
  [
    run.run_id,
    moment(run.at),
    many(run.edits, "edit"),
    run.failed ? `${count(run.failed)} failed` : null,
    run.credits === null ? null : many(run.credits, "credit"),
    run.mean_seconds === null ? null : `mean ${duration(run.mean_seconds)}`,
  ]
    .filter(Boolean)
    .join(" · ");

/** A round number at or above. */
function ceiling(number) {
  const power = 10 ** Math.floor(Math.log10(number || 1));
  return (
    [1, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10].map((step) => step * power).find((step) => step >= number) ?? number
  );
}

export class Chart {
  #runs = [];
  #shown = "";

  constructor(figure) {
    this.figure = figure;
    this.drawing = draw("svg", {
      role: "group",
      "aria-label": "Runs, oldest first",
      height: HEIGHT + TOP + 4,
    });
    this.note = make("p", { class: "note", "aria-hidden": "true" });
    this.table = make("div", { class: "unseen" });
    figure.append(
      make(
        "figcaption",
        {},
        make("span", { class: "key bars", text: "Credits" }),
        make("span", { class: "key course", text: "Mean duration" }),
        this.note,
      ),
      this.drawing,
      this.table,
    );
    new ResizeObserver(() => this.#draw()).observe(figure);
  }

  update(runs) {
    const shown = JSON.stringify(runs);
    if (shown === this.#shown) return;
    this.#shown = shown;
    this.#runs = runs.slice(-MOST);
    // One run is no course of things.
    this.figure.hidden = runs.length < 2;
    this.#tell();
    this.#draw();
  }

  #draw() {
    const width = this.figure.clientWidth - 2 * PADDING;
    if (this.figure.hidden || width <= 0) return;
    const focused = this.drawing.contains(document.activeElement)
      ? document.activeElement.getAttribute("href")
      : null;
    const runs = this.#runs;
    const most = ceiling(Math.max(...runs.map((run) => run.credits ?? 0)));
    const longest = ceiling(Math.max(...runs.map((run) => run.mean_seconds ?? 0)));
    const room = width - 2 * SIDE;
    const place = (index) => SIDE + (room * (index + 0.5)) / runs.length;
    const high = (value, of) => TOP + HEIGHT * (1 - value / of);
    const bar = Math.min(BAR, (room / runs.length) * 0.6);
    this.drawing.setAttribute("width", width);
    this.drawing.replaceChildren(
      ...[0, 0.5, 1].map((share) =>
        draw("line", { class: "grid", x1: SIDE, x2: width - SIDE, y1: high(share, 1), y2: high(share, 1) }),
      ),
      draw("text", {
        class: "axis",
        x: SIDE - 8,
        y: TOP + 4,
        "text-anchor": "end",
        "aria-hidden": "true",
        text: count(most),
      }),
      draw("text", {
        class: "axis",
        x: width - SIDE + 8,
        y: TOP + 4,
        "aria-hidden": "true",
        text: duration(longest),
      }),
      ...runs.map((run, index) =>
        this.#bar(run, place(index), bar, high(run.credits ?? 0, most), room / runs.length),
      ),
      ...this.#line(runs, place, (run) => high(run.mean_seconds, longest)),
    );
    if (focused !== null)
      [...this.drawing.querySelectorAll("a")].find((link) => link.getAttribute("href") === focused)?.focus();
  }

  #bar(run, x, width, top, room) {
    const say = () => {
      this.note.textContent = sentence(run);
    };
    const bottom = TOP + HEIGHT;
    const classes = `bar${run.failed ? " failed" : ""}`;
    return draw(
      "a",
      {
        class: "run",
        href: runPage(run.dag_id, run.run_id),
        "aria-label": `Run ${sentence(run)}`,
        on: { click: follow, focus: say, pointerenter: say },
      },
      draw("rect", { class: "room", x: x - room / 2, y: TOP, width: room, height: HEIGHT }),
      draw("rect", {
        class: classes,
        x: x - width / 2,
        y: Math.min(top, bottom - 2),
        width,
        height: Math.max(2, bottom - top),
        rx: 3,
      }),
    );
  }

  #line(runs, place, high) {
    const points = runs
      .map((run, index) => (run.mean_seconds === null ? null : [place(index), high(run)]))
      .filter(Boolean);
    return [
      draw("polyline", { class: "course", points: points.map((point) => point.join(",")).join(" ") }),
      ...points.map(([x, y]) => draw("circle", { class: "point", cx: x, cy: y, r: 3 })),
    ];
  }

  #tell() {
    const head = ["Run", "When", "Edits", "Succeeded", "Failed", "Credits", "Mean duration"];
    const row = (run) => [
      run.run_id,
      moment(run.at),
      count(run.edits),
      count(run.succeeded),
      count(run.failed),
      run.credits === null ? "unknown" : count(run.credits),
      run.mean_seconds === null ? "unknown" : duration(run.mean_seconds),
    ];
    this.table.replaceChildren(
      make(
        "table",
        {},
        make("caption", { text: "Credits and mean duration by run" }),
        make("thead", {}, make("tr", {}, ...head.map((text) => make("th", { scope: "col", text })))),
        make(
          "tbody",
          {},
          ...this.#runs.map((run) =>
            make(
              "tr",
              {},
              ...row(run).map((text, index) =>
                index ? make("td", { text }) : make("th", { scope: "row", text }),
              ),
            ),
          ),
        ),
      ),
    );
    this.note.textContent = "";
  }
}
