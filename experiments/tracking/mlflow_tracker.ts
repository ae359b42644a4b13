import type { Metrics } from "../run/metrics_log.ts";
import { MlflowClient } from "./client.ts";
import type { FolderTracker } from "./folder_tracker.ts";
import { HttpServer } from "./http.ts";
import { Mirror } from "./mirror.ts";
import { Pauses } from "./retry.ts";
import type { Choice } from "./settings.ts";
import type { Ending, Tracker } from "./tracker.ts";

/** How long the tracker waits, in milliseconds. */
export interface Waiting {
  /** Between checks of the run folder. */
  readonly lookMs: number;
  /** At most, before the next attempt after all retries failed: pauses double from `lookMs` on. */
  readonly outageMs: number;
  /** For progress, at the end of a run. */
  readonly patienceMs: number;
}

const usual: Waiting = { lookMs: 2_000, outageMs: 30_000, patienceMs: 30_000 };

/**
 * Records a run in its folder, and mirrors the folder to an MLflow server in the meantime. It reads what to send from the
 * folder, so nothing queues up in memory however long the server is down.
 */
export class MlflowTracker implements Tracker {
  readonly #folder: FolderTracker;
  readonly #mirror: Mirror;
  readonly #http: HttpServer;
  readonly #say: (message: string) => void;
  readonly #waiting: Waiting;
  readonly #giveUp = new AbortController();
  readonly #pauses = new Pauses();
  readonly #mirroring: Promise<void>;
  #ending = false;
  #ended: Promise<void> | undefined;

  /**
   * @param say shows a line to the user
   */
  constructor(
    folder: FolderTracker,
    { address, patience, say, waiting = usual }:
      & Required<Pick<Choice, "address" | "patience">>
      & { say: (message: string) => void; waiting?: Waiting },
  ) {
    this.#folder = folder;
    this.#say = say;
    this.#waiting = waiting;
    this.#http = new HttpServer(address, patience);
    let shown = false;
    this.#mirror = new Mirror(folder.run, new MlflowClient(this.#http, this.#giveUp.signal), {
      onFound(page) {
        if (!shown) say(`MLflow shows the run at ${page}`);
        shown = true;
      },
    });
    this.#mirroring = this.#mirrorUntilEnd();
  }

  log(metrics: Metrics): void {
    this.#folder.log(metrics);
  }

  async end(status: Ending, reason?: string): Promise<void> {
    await this.#folder.end(status, reason);
    await (this.#ended ??= this.#finish());
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      await this.end("FAILED");
    } finally {
      await this.#folder[Symbol.asyncDispose]();
    }
  }

  async #mirrorUntilEnd(): Promise<void> {
    const { lookMs, outageMs } = this.#waiting;
    let failed = 0; // attempts in a row
    while (!this.#ending) {
      try {
        await this.#mirror.pass();
        if (failed > 0) this.#say("MLflow is back");
        failed = 0;
      } catch (error) {
        // Once per outage, not every minute.
        if (failed === 0 && !this.#ending) {
          this.#say(`MLflow: ${messageOf(error)}; training continues; what is missing there is sent later`);
        }
        failed++;
      }
      if (!this.#ending) await this.#pauses.pause(Math.min(lookMs * 2 ** failed, outageMs));
    }
  }

  /** Sends the rest, as long as the server accepts something. */
  async #finish(): Promise<void> {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const alive = () => {
      clearTimeout(timer);
      timer = setTimeout(
        () => this.#giveUp.abort(new Error(`${this.#http.address.url} accepts nothing any more`)),
        this.#waiting.patienceMs,
      );
    };
    this.#http.onProgress = alive;
    alive();
    this.#ending = true;
    this.#pauses.wake();
    this.#http.pauses.wake();
    try {
      await this.#mirroring;
      await this.#mirror.pass();
      for (const [what, why] of Object.entries(this.#mirror.refused)) {
        this.#say(`MLflow rejects ${what}: ${why}`);
      }
    } catch (error) {
      this.#say(
        `MLflow: ${
          messageOf(error)
        }; not everything was sent; deno task sync ${this.#folder.run} sends the rest`,
      );
    } finally {
      clearTimeout(timer);
    }
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
