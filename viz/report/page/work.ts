/// <reference lib="dom" />

/** A task that regularly checks whether it is still wanted. */
export type Work = (wanted: () => boolean) => Promise<void>;

/** Runs one task after the other and reports errors. */
export class WorkQueue {
  #last: Promise<void> = Promise.resolve();
  /** Tasks with a smaller number are cancelled. */
  #from = 0;
  #count = 0;
  #waiting = 0;

  /**
   * @param onBusy called when work begins and when all work is done
   * @param onError called with each error
   */
  constructor(readonly onBusy: (busy: boolean) => void, readonly onError: (error: unknown) => void) {}

  /** Queues a task; a `needed` one runs even after `stop()`. */
  add(work: Work, { needed = false } = {}): void {
    const number = this.#count++;
    const wanted = () => needed || number >= this.#from;
    if (this.#waiting++ === 0) this.onBusy(true);
    this.#last = this.#last.then(async () => {
      try {
        if (wanted()) await work(wanted);
      } catch (error) {
        this.onError(error);
      }
      if (--this.#waiting === 0) this.onBusy(false);
    });
  }

  /** Stops the current task and drops waiting ones. */
  stop(): void {
    this.#from = this.#count;
  }
}

/** Lets the page handle events and draw. */
export function breathe(): Promise<void> {
  return new Promise((resolve) => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => resolve();
    port2.postMessage(undefined);
  });
}

const cancelled = new Error("Cancelled");

/** {@linkcode breathe} for the library, which cancels work that is no longer wanted. */
export async function breatheWhile(wanted: () => boolean): Promise<void> {
  if (!wanted()) throw cancelled;
  await breathe();
}

/** The result of work; undefined if {@linkcode breatheWhile} cancelled it. */
export async function unlessCancelled<T>(work: Promise<T>): Promise<T | undefined> {
  try {
    return await work;
  } catch (error) {
    if (error !== cancelled) throw error;
  }
}
