/// <reference lib="dom" />
import type { PageRun } from "../page_data.ts";
import type { TestImages } from "../report_data.ts";
import { byId, element } from "./dom.ts";
import type { Job } from "./engine.ts";
import type { Explorer } from "./explorer.ts";
import { drawImage } from "./image_panel.ts";
import type { RemoteEngine } from "./remote_engine.ts";
import { countOf } from "./trajectory_view.ts";
import { messageOf } from "./remote_worker.ts";
import type { Running, WorkQueue } from "./work.ts";

const stopped = "Stopped";

/** Shows test images of the current run; pressing one computes its bits per dimension. */
export class LiveBits {
  readonly #place = byId("bits");
  readonly #buttons = byId("bits-examples");
  readonly #progress = byId<HTMLProgressElement>("bits-progress");
  readonly #stop = byId("bits-stop");
  readonly #text = byId("bits-text");
  /** Bits per dimension so far, by run and image. */
  readonly #found = new Map<string, number[]>();
  #run: number | undefined;
  /** The work on test images of this run. */
  #work: AbortController[] = [];

  /** @param stop stops all queued work */
  constructor(
    readonly engine: RemoteEngine,
    readonly explorer: Explorer,
    readonly queue: WorkQueue,
    readonly runs: readonly PageRun[],
    stop: () => void,
  ) {
    this.#stop.addEventListener("click", () => {
      stop();
      this.#text.textContent = stopped; // even if no image is being measured
    });
    explorer.onChange(() => this.#show());
    this.#show();
  }

  /** Shows the test images of the current run. */
  #show(): void {
    const { run } = this.explorer;
    if (run === this.#run) return;
    this.#run = run;
    for (const work of this.#work.splice(0)) work.abort();
    const network = this.runs[run].live;
    const tests = typeof network === "object" ? network.tests : undefined;
    this.#place.hidden = tests === undefined;
    this.#buttons.replaceChildren(...tests ? this.#buttonsFor(run, tests) : []);
    this.#text.textContent = "";
    this.#working(false);
  }

  #buttonsFor(run: number, { shape: [N, ...size], image, labels }: TestImages): Element[] {
    const { classNames = [] } = this.runs[run];
    const P = image.length / N;
    return Array.from({ length: N }, (_, n) => {
      const pixels = image.subarray(n * P, (n + 1) * P);
      const label = labels?.[n];
      const className = label === undefined ? undefined : classNames[label] ?? `${label}`;
      const name = className === undefined ? `Test image ${n + 1}` : `A test image of class ${className}`;
      const key = `${run} ${n}`;
      if (!this.#found.has(key)) this.#found.set(key, []);
      const found = this.#found.get(key)!;
      const canvas = element("canvas", { "aria-hidden": "true" });
      drawImage(canvas, pixels, size, this.explorer.colours.image);
      const value = element("span", { class: "under", text: shortly(found) });
      const button = element("button", { type: "button", title: name, "aria-label": name }, canvas, value);
      const measured = { run, pixels, label, className, name, found };
      button.addEventListener("click", () => {
        const work = this.queue.add((running) => this.#measure(measured, value, running), "background");
        this.#work.push(work); // showing another run cancels it
      });
      return button;
    });
  }

  /** Solves an image back to noise, and shows its bits. */
  async #measure(image: Image, value: HTMLElement, running: Running): Promise<void> {
    const { run, pixels, label, className, name, found } = image;
    const { engine } = this;
    const tell = (words: string) => {
      if (value.isConnected) this.#text.textContent = words;
    };
    this.#working(true);
    tell(`${name}: solving back to noise`);
    try {
      const condition = await engine.classes(run) > 0 ? label : undefined;
      const started = performance.now();
      const { bits, evaluations } = await engine.callInTurn(
        running,
        (remote, job: Job<number>) => remote.bits(run, pixels, condition, found.length, job),
        (share) => this.#progress.value = share,
      );
      found.push(bits);
      value.textContent = shortly(found);
      const words = condition === undefined ? "" : `, conditioned on class ${className}`;
      tell(
        `${name}: ${formatBits(found, pixels.length)}. ${countOf(evaluations)}${words}, each with a ` +
          `vector-Jacobian product, took ${engine.timeSince(started)}. Press again for other random signs.`,
      );
    } catch (error) {
      tell(running.signal.aborted ? stopped : `Error: ${messageOf(error)}`);
    } finally {
      this.#working(false);
    }
  }

  #working(working: boolean): void {
    this.#progress.value = 0;
    this.#progress.hidden = this.#stop.hidden = !working;
  }
}

/** A test image of a run, and its bits per dimension from several draws of random signs. */
interface Image {
  /** Index among all runs. */
  readonly run: number;
  /** f32[C, H, W] */
  readonly pixels: Float32Array;
  readonly label: number | undefined;
  readonly className: string | undefined;
  readonly name: string;
  readonly found: number[];
}

/** Bits per value in an image file. */
const plainBits = 8;

/** The mean bits, or a dash before they are known. */
function shortly(found: readonly number[]): string {
  return found.length > 0 ? meanOf(found).toFixed(2) : "\u2013";
}

/** Describes the mean over draws of random signs for an image of `length` values. */
export function formatBits(found: readonly number[], length: number): string {
  const mean = meanOf(found);
  const variance = found.reduce((sum, bits) => sum + (bits - mean) ** 2, 0) / (found.length - 1);
  const error = found.length > 1 ? ` \u00b1 ${Math.sqrt(variance / found.length).toFixed(3)}` : "";
  const draws = found.length > 1 ? ` (${found.length} draws of random signs)` : "";
  const size = length.toLocaleString("en");
  const meaning = mean < plainBits
    ? `a code based on this network needs about ${(mean * length / 8).toFixed(0)} bytes for it, ` +
      `compared with ${size} bytes uncompressed`
    : `more than the ${plainBits} of its file, so this network does not expect it at all`;
  return `${mean.toFixed(3)}${error} bits per dimension${draws}: ${meaning}`;
}

function meanOf(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
