/* Where the page is: its address below Airflow's, and the Airflow around it if it stands in one of its tabs. */

const MOUNT = new URL(document.baseURI).pathname;

/** Airflow's own base, with its slash: the mount's without "aluo/". */
export const AIRFLOW = MOUNT.replace(/[^/]+\/$/u, "");

/** The window of the Airflow around this page; null if it stands alone, or in a page of another origin. */
function around() {
  try {
    return window.parent !== window && window.parent.location.origin === window.location.origin
      ? window.parent
      : null;
  } catch {
    return null;
  }
}

export const FRAME = around();

/** What the address names: dag, run, task, each null if absent, and map (null, -1 or more). */
function read() {
  const parts = window.location.pathname.slice(MOUNT.length).split("/").filter(Boolean).map(decode);
  const named = { dag: null, run: null, task: null, map: null };
  if (parts[0] !== "dags" || parts.length < 2) return named;
  named.dag = parts[1];
  if (parts[2] === "runs") named.run = parts[3] ?? null;
  const task = parts.indexOf("tasks", named.run === null ? 2 : 4);
  if (task > 0) named.task = parts[task + 1] ?? null;
  if (named.run !== null && named.task !== null) {
    // Airflow leaves a placeholder without a value as it is: {MAP_INDEX} is a task that is not mapped.
    const index = Number.parseInt(parts[task + 2] ?? "", 10);
    named.map = Number.isNaN(index) ? -1 : index;
  }
  return named;
}

function decode(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

export const SCOPE = read();

const inDag = (dag, run) => `dags/${encodeURIComponent(dag)}/runs/${encodeURIComponent(run)}`;

/** Addresses below the mount. */
export const below = {
  edits: () => {
    if (SCOPE.dag === null) return `${MOUNT}api/edits`;
    const dag = SCOPE.run === null ? `dags/${encodeURIComponent(SCOPE.dag)}` : inDag(SCOPE.dag, SCOPE.run);
    return `${MOUNT}api/${dag}/edits`;
  },
  zip: () => `${MOUNT}api/${inDag(SCOPE.dag, SCOPE.run)}/pictures.zip`,
};

/** Airflow's pages of a task instance: its log, its details. */
export const instance = (card) =>
  `${AIRFLOW}${inDag(card.dag_id, card.run_id)}/tasks/${encodeURIComponent(card.task_id)}` +
  (card.map_index < 0 ? "" : `/mapped/${card.map_index}`);

/** What Airflow calls its tab of a run with the gallery in it; null until the server has told. */
let runTab = null;

/** Take what the server tells of Airflow's tab; true if it is news. */
export function learnTab(name) {
  const news = name !== runTab;
  runTab = name;
  return news;
}

/** The gallery of a run: Airflow's tab if we stand in Airflow, else the page itself. */
export const runPage = (dag, run) =>
  FRAME && runTab !== null
    ? `${AIRFLOW}${inDag(dag, run)}/plugin/${encodeURIComponent(runTab)}`
    : `${MOUNT}${inDag(dag, run)}`;

export const answerOf = (review) =>
  `${AIRFLOW}api/v2/dags/${encodeURIComponent(review.dag_id)}/dagRuns/${encodeURIComponent(review.run_id)}` +
  `/taskInstances/${encodeURIComponent(review.task_id)}/${review.map_index}/hitlDetails`;

/** size: thumb, large or original. */
export const picture = (one, size) => `${AIRFLOW}${one.picture}?size=${size}`;

/** For links to Airflow's pages. In a tab, a plain click turns Airflow's page and loads nothing anew: its frame
 *  is sandboxed, so that target=_top does nothing. With a key held, the browser does what it always does. */
export function follow(event) {
  if (!FRAME || event.defaultPrevented || event.button !== 0) return;
  if (event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
  const link = event.currentTarget;
  // In SVG, href is an object: the attribute holds the address in both.
  const address = link.getAttribute("href");
  try {
    FRAME.history.pushState({}, "", address);
    FRAME.dispatchEvent(new FRAME.PopStateEvent("popstate"));
    event.preventDefault();
  } catch {
    // The Airflow around us does not let us: the link's own address is what remains.
  }
}

/** Follow Airflow's theme in a tab; alone, the style sheet asks the system. */
export function followTheme() {
  if (!FRAME) return;
  const theirs = FRAME.document.documentElement;
  const adopt = () => {
    const named = theirs.dataset.theme ?? "";
    const dark = theirs.classList.contains("dark") || named === "dark";
    const light = theirs.classList.contains("light") || named === "light";
    if (dark || light) document.documentElement.dataset.theme = dark ? "dark" : "light";
    else delete document.documentElement.dataset.theme;
  };
  adopt();
  new MutationObserver(adopt).observe(theirs, { attributeFilter: ["class", "data-theme"] });
}

/** What stands behind # in the address: ours, or in a tab Airflow's, which a reload keeps. */
export function remembered() {
  const own = window.location.hash.slice(1);
  return new URLSearchParams(own || (FRAME ? FRAME.location.hash.slice(1) : ""));
}

export function remember(values) {
  const behind = String(values) ? `#${values}` : "";
  // Spelled out, for <base> would turn a bare "#…" into an address of the mount.
  for (const page of FRAME ? [window, FRAME] : [window]) {
    const { pathname, search } = page.location;
    page.history.replaceState(page.history.state, "", `${pathname}${search}${behind}`);
  }
}

/** A value behind ? in the address, ours or in a tab Airflow's. */
export const asked = (name) =>
  new URLSearchParams(window.location.search).get(name) ??
  (FRAME ? new URLSearchParams(FRAME.location.search).get(name) : null);
