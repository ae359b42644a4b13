/** Lets runs that work on the same state take place one at a time. */
export class OneRun {
  #busy = false;

  /**
   * Runs unless another one is in progress.
   *
   * @throws {Error} if one is
   */
  async take<T>(run: () => Promise<T>): Promise<T> {
    if (this.#busy) {
      throw new Error(
        "Cannot run: a run of this sampler or likelihood is in progress (expected one at a time); " +
          "await it first, or make another one",
      );
    }
    this.#busy = true;
    try {
      return await run();
    } finally {
      this.#busy = false;
    }
  }
}
