/// <reference lib="dom" />
import { byId } from "../../viz/report/page/dom.ts";
import type { Computing, FromTrainer, ToTrainer } from "./messages.ts";

/** The worker that trains. It runs the program of the page. */
export class RemoteTraining {
  readonly #worker: Worker;

  /**
   * Starts the worker.
   *
   * @param program the program of the page
   * @param onMessage called with each message of the worker
   * @throws {Error} if the browser starts no worker from a page like this
   */
  constructor(program: string, { device, threads }: Computing, onMessage: (message: FromTrainer) => void) {
    const address = URL.createObjectURL(new Blob([program], { type: "text/javascript" }));
    try {
      this.#worker = new Worker(address);
    } catch (error) {
      throw new Error(`This browser starts no worker here: ${error}`);
    } finally {
      URL.revokeObjectURL(address);
    }
    this.#worker.onmessage = ({ data }: MessageEvent<FromTrainer>) => onMessage(data);
    this.#worker.onerror = (event) => {
      event.preventDefault(); // the page tells it
      onMessage({
        kind: "failed",
        message: `The worker that trains has failed: ${event.message ?? "no reason given"}`,
      });
    };
    this.send({ kind: "open", library: byId("library").textContent!, device, threads });
  }

  /** Sends a message to the worker. */
  send(message: ToTrainer): void {
    this.#worker.postMessage(message);
  }

  /** Ends the worker. */
  close(): void {
    this.#worker.terminate();
  }
}
