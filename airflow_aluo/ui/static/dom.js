/* Elements made by calls. What an edit says becomes text, never markup. */

const SVG = "http://www.w3.org/2000/svg";

/** What is left out of a row of children: the outcome of a condition that does not hold. */
const isChild = (child) => child !== null && child !== undefined && child !== false;

/** Fill an element: attributes (null and false are left out), "text", "on" (listeners), children. */
function fill(element, options, children) {
  for (const [name, value] of Object.entries(options)) {
    if (value === null || value === undefined || value === false) continue;
    if (name === "text") element.textContent = value;
    else if (name === "on")
      for (const [event, call] of Object.entries(value)) element.addEventListener(event, call);
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  element.append(...children.filter(isChild));
  return element;
}

export const make = (tag, options = {}, ...children) => fill(document.createElement(tag), options, children);

export const draw = (tag, options = {}, ...children) =>
  fill(document.createElementNS(SVG, tag), options, children);

/** Path data of the icons: 24 by 24, drawn as strokes. */
const ICONS = {
  large: "M15 4h5v5M20 4l-6 6M9 20H4v-5M4 20l6-6",
  download: "M12 4v11M7 11l5 5 5-5M5 20h14",
  copy: "M9 9h10v11H9zM5 15V4h10",
  done: "M5 13l4 4L19 7",
  close: "M6 6l12 12M18 6L6 18",
  previous: "M15 5l-7 7 7 7",
  next: "M9 5l7 7-7 7",
  picture: "M4 5h16v14H4zM4 16l5-5 4 4 3-3 4 4M15 9h.01",
  compare: "M9 7l-5 5 5 5M15 7l5 5-5 5",
  failed: "M12 8v5M12 16.5v.01M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18z",
};

export const icon = (name) =>
  draw(
    "svg",
    { class: "icon", viewBox: "0 0 24 24", "aria-hidden": "true", focusable: "false" },
    draw("path", { d: ICONS[name] }),
  );

/** A button; "name" says where the focus was when its surroundings are made anew. */
export const button = (text, call, options = {}, symbol = null) =>
  make(
    "button",
    { type: "button", class: "button", ...options, on: { click: call } },
    symbol && icon(symbol),
    text,
  );

/** Replace an element's children, and keep the focus on the child with the same data-name. */
export function refill(element, ...children) {
  const focused = element.contains(document.activeElement) ? document.activeElement.dataset.name : undefined;
  element.replaceChildren(...children.filter(isChild));
  if (focused === undefined) return;
  const again = [...element.querySelectorAll("[data-name]")].find((child) => child.dataset.name === focused);
  (again ?? element.closest("[tabindex]"))?.focus({ preventScroll: true });
}

/** Bring an element's children into this order; those that stay where they are are not touched. */
export function arrange(element, children) {
  const focused = document.activeElement;
  const wanted = new Set(children);
  for (const child of [...element.children]) if (!wanted.has(child)) child.remove();
  let next = element.firstChild;
  for (const child of children) {
    if (child === next) next = next.nextSibling;
    else element.insertBefore(child, next);
  }
  if (focused && focused !== document.activeElement && element.contains(focused))
    focused.focus({ preventScroll: true });
}

/** Tell people who do not see the page. */
export function tell(sentence) {
  document.getElementById("told").textContent = sentence;
}
