/// <reference lib="dom" />

/** A task, which must fail soon after its signal aborts. */
export type Work = (signal: AbortSignal) => Promise<void>;

/** `first` is for work that the reader waits for; `background` work continues when there is none. */
export type Lane = "first" | "background";

/** Runs the tasks of each lane one after another, and reports errors. */
export class WorkQueue {
  readonly #last = new Map<Lane, Promise<void>>();
  readonly #open = new Set<AbortController>();

  /**
   * @param onBusy called when work starts and when all work is done
   * @param onError called with each error
   */
  constructor(readonly onBusy: (busy: boolean) => void, readonly onError: (error: unknown) => void) {}

  /** Queues a task; `abort()` cancels it. */
  add(work: Work, lane: Lane = "first"): AbortController {
    const controller = new AbortController();
    const { signal } = controller;
    if (this.#open.size === 0) this.onBusy(true);
    this.#open.add(controller);
    const last = this.#last.get(lane) ?? Promise.resolve();
    this.#last.set(
      lane,
      last.then(async () => {
        try {
          if (!signal.aborted) await work(signal);
        } catch (error) {
          if (!signal.aborted) this.onError(error);
        }
        this.#open.delete(controller);
        if (this.#open.size === 0) this.onBusy(false);
      }),
    );
    return controller;
  }

  stop(): void {
    for (const controller of this.#open) controller.abort();
  }
}
