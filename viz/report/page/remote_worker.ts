/// <reference lib="dom" />
import { type Remote, wrap } from "npm:comlink@4.4.2";

/** An object in a worker, so that the page never blocks. */
export interface RemoteObject<T> {
  readonly remote: Remote<T>;
  /** Rejects when the worker fails; it then no longer answers. */
  readonly failed: Promise<never>;
  close(): void;
}

/**
 * Starts a worker with the page's program, which exposes the object with comlink's `expose()`.
 *
 * @param task what the worker does, for errors
 * @throws {Error} if the browser cannot start a worker from this page
 */
export function startWorker<T>(program: string, task: string): RemoteObject<T> {
  const address = URL.createObjectURL(new Blob([program], { type: "text/javascript" }));
  let worker: Worker;
  try {
    worker = new Worker(address);
  } catch (error) {
    throw new Error(`This browser cannot start a worker here: ${error}`);
  } finally {
    URL.revokeObjectURL(address);
  }
  const failed = new Promise<never>((_, reject) => {
    worker.onerror = (event) => {
      event.preventDefault(); // the page reports it
      const why = event.message?.replace(/^Uncaught /, "");
      reject(new Error(`The worker that ${task} failed${why ? `: ${why}` : ""}`));
    };
  });
  failed.catch(() => {}); // pending calls report it
  return { remote: wrap<T>(worker), failed, close: () => worker.terminate() };
}

/** The message of an error, or any other thrown value as text. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : `${error}`;
}
