/// <reference lib="dom" />
import { type Remote, wrap } from "npm:comlink@4.4.2";

/** An object that lives in a worker, so that the page never waits. */
export interface RemoteObject<T> {
  readonly remote: Remote<T>;
  /** Rejects when the worker fails, which answers no more then. */
  readonly failed: Promise<never>;
  /** Ends the worker. */
  close(): void;
}

/**
 * Starts a worker with the program of the page; there it calls `expose()` of comlink with the object.
 *
 * @param task what the worker does, for errors
 * @throws {Error} if the browser starts no worker from a page like this
 */
export function startWorker<T>(program: string, task: string): RemoteObject<T> {
  const worker = newWorker(program);
  const failed = new Promise<never>((_, reject) => {
    worker.onerror = (event) => {
      event.preventDefault(); // the page tells it
      const why = event.message?.replace(/^Uncaught /, "");
      reject(new Error(`The worker that ${task} has failed${why ? `: ${why}` : ""}`));
    };
  });
  failed.catch(() => {}); // those who wait for an answer hear of it
  return { remote: wrap<T>(worker), failed, close: () => worker.terminate() };
}

function newWorker(program: string): Worker {
  const address = URL.createObjectURL(new Blob([program], { type: "text/javascript" }));
  try {
    return new Worker(address);
  } catch (error) {
    throw new Error(`This browser starts no worker here: ${error}`);
  } finally {
    URL.revokeObjectURL(address);
  }
}

/** The message of an error, or what else was thrown as text. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : `${error}`;
}
