/* When to ask again. */

/** Milliseconds: while something is going on, while nothing is, and at most after errors. */
const LIVE = 3_000;
const QUIET = 30_000;
const MOST = 30_000;

/** Calls load() again and again while the page can be seen. load returns "live", "quiet", "failed" or "stop". */
export class Refresh {
  #load;
  #timer = 0;
  #failures = 0;
  #stopped = false;
  #due = false;

  constructor(load) {
    this.#load = load;
    document.addEventListener("visibilitychange", () => {
      if (!document.hidden && this.#due) this.now();
    });
  }

  /** Load at once; forgets the call that was planned, and that it was stopped. */
  async now() {
    clearTimeout(this.#timer);
    this.#stopped = false;
    this.#due = false;
    const outcome = await this.#load();
    if (outcome === "overtaken") return;
    this.#failures = outcome === "failed" ? this.#failures + 1 : 0;
    this.#stopped = outcome === "stop";
    if (this.#stopped) return;
    const failed = Math.min(LIVE * 2 ** (this.#failures - 1), MOST);
    this.#plan(outcome === "failed" ? failed : outcome === "live" ? LIVE : QUIET);
  }

  #plan(wait) {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      // A hidden page costs nobody anything; it asks the moment it is seen.
      if (document.hidden) this.#due = true;
      else this.now();
    }, wait);
  }
}
