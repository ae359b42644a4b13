/** How often a request is retried, and how long each attempt may take. */
export interface Patience {
  /** Attempts after the first one. */
  readonly maxRetries: number;
  /** Seconds before the second retry, doubled for each further one; the first retry comes at once. */
  readonly backoffFactor: number;
  /** Milliseconds without an answer or progress of an upload, after which an attempt has failed. */
  readonly timeoutMs: number;
}

/** The defaults of MLflow's own client. */
export const mlflowPatience: Patience = { maxRetries: 7, backoffFactor: 2, timeoutMs: 120_000 };

const longestMs = 120_000;

/**
 * Milliseconds before a retry, with jitter, so that many clients do not all return at once to a server that is back.
 *
 * @param retry 1 for the first
 * @param random in [0, 1)
 * Source: urllib3's Retry as MLflow configures it, with up to a second of jitter, here at most the wait itself
 */
export function backoffMs(retry: number, factor: number, random: number): number {
  const seconds = retry <= 1 ? 0 : factor * 2 ** (retry - 1);
  return Math.min(longestMs, 1000 * (seconds + Math.min(1, factor) * random));
}

/** Pauses that can be cut short. */
export class Pauses {
  #wake: () => void = () => {};
  #hurried = false;

  /** Ends the current pause, or the next one if there is none. */
  wake(): void {
    this.#hurried = true;
    this.#wake();
  }

  /**
   * @throws {unknown} the signal's reason, once it is aborted
   */
  async pause(ms: number, signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted();
    if (!this.#hurried) {
      const { promise, resolve } = Promise.withResolvers<void>();
      const timer = setTimeout(resolve, ms);
      this.#wake = resolve;
      signal?.addEventListener("abort", this.#wake, { once: true });
      await promise;
      clearTimeout(timer);
      signal?.removeEventListener("abort", this.#wake);
    }
    this.#hurried = false;
    signal?.throwIfAborted();
  }
}

/**
 * Repeats an attempt until it succeeds, the retries are used up, or the error is permanent.
 *
 * @param attempt one attempt
 * @param waitFor milliseconds to wait at least after an error, undefined if a retry is pointless
 */
export async function withRetries<T>(
  attempt: () => Promise<T>,
  waitFor: (error: unknown) => number | undefined,
  { patience, pauses, signal, onRetry }: {
    readonly patience: Patience;
    readonly pauses: Pauses;
    readonly signal?: AbortSignal | undefined;
    /** Called with each error before a retry. */
    readonly onRetry?: (error: unknown) => void;
  },
): Promise<T> {
  for (let retry = 1;; retry++) {
    try {
      return await attempt();
    } catch (error) {
      const asked = waitFor(error);
      if (asked === undefined || retry > patience.maxRetries) throw error;
      onRetry?.(error);
      // A server may ask to wait, but not for longer than an attempt may take.
      const ms = Math.max(
        Math.min(asked, patience.timeoutMs),
        backoffMs(retry, patience.backoffFactor, Math.random()),
      );
      await pauses.pause(Math.min(ms, longestMs), signal);
    }
  }
}
