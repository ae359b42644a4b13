/// <reference lib="dom" />
import { proxy } from "npm:comlink@4.4.2";
import { byId } from "../../viz/report/page/dom.ts";
import { type RemoteObject, startWorker } from "../../viz/report/page/remote_worker.ts";
import type { Computing, FromTrainer, ToTrainer } from "./messages.ts";
import type { TrainingService } from "./worker.ts";

/** The worker that trains. It runs the program of the page. */
export class RemoteTraining {
  readonly #worker: RemoteObject<TrainingService>;

  /**
   * Starts the worker.
   *
   * @param program the program of the page
   * @param onMessage called with each message from the worker
   * @throws {Error} if the browser cannot start a worker from this page
   */
  constructor(program: string, { device, threads }: Computing, onMessage: (message: FromTrainer) => void) {
    this.#worker = startWorker(program, "trains");
    this.#worker.failed.catch(({ message }) => onMessage({ kind: "failed", message }));
    this.#worker.remote.open(byId("library").textContent!, { device, threads }, proxy(onMessage));
  }

  send(message: ToTrainer): void {
    this.#worker.remote.take(message);
  }

  close(): void {
    this.#worker.close();
  }
}
