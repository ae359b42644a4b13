/// <reference lib="dom" />

/** What a task needs while it runs. */
export interface Running {
  readonly signal: AbortSignal;
  /** Call between parts of the work: fails if the task was cancelled; work in the background waits for other work here. */
  turn(): Promise<void>;
}

/** A task, which must fail soon after its signal aborts. */
export type Work = (running: Running) => Promise<void>;

/** Runs the tasks of each lane one after another, and reports errors. */
export class WorkQueue {
  /** `first` is for work that the reader waits for; `background` work continues when there is none. */
  readonly #last = { first: Promise.resolve(), background: Promise.resolve() };
  readonly #open = new Set<AbortController>();

  /**
   * @param onBusy called when work starts and when all work is done
   * @param onError called with each error
   */
  constructor(readonly onBusy: (busy: boolean) => void, readonly onError: (error: unknown) => void) {}

  /** Queues a task; `abort()` cancels it. */
  add(work: Work, lane: "first" | "background" = "first"): AbortController {
    const controller = new AbortController();
    const { signal } = controller;
    const turn = async () => {
      if (lane === "background") await this.#last.first;
      signal.throwIfAborted();
    };
    if (this.#open.size === 0) this.onBusy(true);
    this.#open.add(controller);
    this.#last[lane] = this.#last[lane].then(async () => {
      try {
        if (!signal.aborted) await work({ signal, turn });
      } catch (error) {
        if (!signal.aborted) this.onError(error);
      }
      this.#open.delete(controller);
      if (this.#open.size === 0) this.onBusy(false);
    });
    return controller;
  }

  stop(): void {
    for (const controller of this.#open) controller.abort();
  }
}
