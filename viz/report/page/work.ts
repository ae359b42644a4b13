/// <reference lib="dom" />

/** A piece of work, which looks now and then whether it is still wanted. */
export type Work = (wanted: () => boolean) => Promise<void>;

/** Does one piece of live work after the other. What goes wrong is told, and the page goes on. */
export class WorkQueue {
  #last: Promise<void> = Promise.resolve();
  /** Work of before this number is not wanted any more. */
  #from = 0;
  #count = 0;
  #waiting = 0;

  /**
   * @param onBusy called when work begins and when all is done
   * @param onError called with what went wrong
   */
  constructor(readonly onBusy: (busy: boolean) => void, readonly onError: (error: unknown) => void) {}

  /** Adds work to do after all that was added before. */
  add(work: Work): void {
    const number = this.#count++;
    const wanted = () => number >= this.#from;
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

  /** Ends the work at hand and forgets what waits. */
  stop(): void {
    this.#from = this.#count;
  }
}
