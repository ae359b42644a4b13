/// <reference lib="dom" />

/** A piece of work, which checks now and then whether it is still wanted. */
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
