/// <reference lib="dom" />

/** A piece of work, which checks from time to time whether it is still wanted. */
export type Work = (wanted: () => boolean) => Promise<void>;

/** Does one piece of work after the other. Errors are reported, and the page goes on. */
export class WorkQueue {
  #last: Promise<void> = Promise.resolve();
  /** Work with a smaller number is no longer wanted. */
  #from = 0;
  #count = 0;
  #waiting = 0;

  /**
   * @param onBusy called when work begins and when all of it is done
   * @param onError called with each error
   */
  constructor(readonly onBusy: (busy: boolean) => void, readonly onError: (error: unknown) => void) {}

  /** Adds work, to be done after all that was added before; what is `needed` is done even if all is stopped. */
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

  /** Stops the current work and drops what is waiting. */
  stop(): void {
    this.#from = this.#count;
  }
}

/** Lets the page react to its reader and draw. */
export function breathe(): Promise<void> {
  return new Promise((resolve) => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => resolve();
    port2.postMessage(undefined);
  });
}

/** Ends work that is no longer wanted. */
const cancelled = new Error("Cancelled");

/** A {@linkcode breathe} within work of the library; cancels it once it is not wanted. */
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
