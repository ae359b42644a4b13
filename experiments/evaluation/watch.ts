import { pause } from "../../models/pause.ts";

/** How work is watched and stopped. */
export interface Watch {
  /** Called with the evaluations of the network that are done so far. */
  readonly onProgress?: (done: number) => void;
  /** Called with the pairs of images that are compared so far, which takes no evaluations, and how many will be at most. */
  readonly onCompared?: (done: number, most: number) => void;
  /** Ends the work early. */
  readonly signal?: AbortSignal;
}

/** Counts evaluations that were done, and lets signals in; throws the signal's reason once the work is to end. */
export type Advance = (evaluations: number) => Promise<void>;

/** Says how many pairs of images have been compared, of how many; throws the signal's reason once the work is to end. */
export type Compared = (done: number, most: number) => void;

/** What tells of comparisons. */
export function comparedOf({ onCompared = () => {}, signal }: Watch): Compared {
  return (done, most) => {
    onCompared(done, most);
    signal?.throwIfAborted();
  };
}

/** Counts from 0 for one piece of work. */
export function advanceOf({ onProgress = () => {}, signal }: Watch): Advance {
  let done = 0;
  return async (evaluations) => {
    onProgress(done += evaluations);
    await pause();
    signal?.throwIfAborted();
  };
}

/**
 * Does work that an {@linkcode Advance} may end.
 *
 * @returns undefined if it was ended
 */
export async function unlessStopped<T>({ signal }: Watch, work: () => Promise<T>): Promise<T | undefined> {
  try {
    return await work();
  } catch (error) {
    if (signal?.aborted && error === signal.reason) return undefined;
    throw error;
  }
}
