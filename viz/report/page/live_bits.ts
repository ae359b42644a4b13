/// <reference lib="dom" />
import type { PageRun } from "../page_data.ts";
import type { TestImages } from "../report_data.ts";
import { byId, element } from "./dom.ts";
import type { Engine } from "./engine.ts";
import type { Explorer } from "./explorer.ts";
import { drawImage } from "./image_panel.ts";
import { countOf } from "./trajectory_view.ts";
import { breatheWhile, unlessCancelled, type WorkQueue } from "./work.ts";

/** Test images of the run on the screen; the bits per dimension of one that is pressed are computed. */
export class LiveBits {
  readonly #place = byId("bits");
  readonly #buttons = byId("bits-examples");
  readonly #progress = byId<HTMLProgressElement>("bits-progress");
  readonly #stop = byId("bits-stop");
  readonly #text = byId("bits-text");
  readonly #meters = new Map<string, BitsMeter>();
  #run: number | undefined;

  /**
   * @param live what the page holds of the runs, by their place among all
   * @param stop stops the work in the queue
   */
  constructor(
    readonly engine: Engine,
    readonly explorer: Explorer,
    readonly queue: WorkQueue,
    readonly live: readonly PageRun["live"][],
    stop: () => void,
  ) {
    this.#stop.addEventListener("click", stop);
    explorer.onChange(() => this.#show());
    this.#show();
  }

  /** Shows the test images of the run on the screen. */
  #show(): void {
    const { run } = this.explorer;
    if (run === this.#run) return;
    this.#run = run;
    const network = this.live[run];
    const tests = typeof network === "object" ? network.tests : undefined;
    this.#place.hidden = tests === undefined;
    this.#buttons.replaceChildren(...tests ? this.#buttonsFor(run, tests) : []);
    this.#text.textContent = "";
    this.#working(false);
  }

  #buttonsFor(run: number, { shape: [N, ...size], image, labels, classNames }: TestImages): Element[] {
    const P = image.length / N;
    const colours = { palette: this.explorer.palette, range: [0, 1] as const };
    return Array.from({ length: N }, (_, n) => {
      const own = image.subarray(n * P, (n + 1) * P);
      const label = labels?.[n];
      const name = label === undefined ? `Test image ${n + 1}` : `A test image of class ${nameOf(label)}`;
      const meter = this.#meter(`${run} ${n}`, () => new BitsMeter(this.engine, run, own, label));
      const canvas = element("canvas", { "aria-hidden": "true" });
      drawImage(canvas, own, size, colours);
      const value = element("span", { class: "under", text: meter.short });
      const button = element("button", { type: "button", title: name, "aria-label": name }, canvas, value);
      button.addEventListener("click", () => this.#measure(meter, name, value));
      return button;
    });

    function nameOf(label: number): string {
      return classNames?.[label] ?? `${label}`;
    }
  }

  #meter(key: string, make: () => BitsMeter): BitsMeter {
    const meter = this.#meters.get(key) ?? make();
    this.#meters.set(key, meter);
    return meter;
  }

  /** Measures the bits of an image whose button shows them, as long as that is on the screen. */
  #measure(meter: BitsMeter, name: string, value: HTMLElement): void {
    const tell = (words: string) => {
      if (value.isConnected) this.#text.textContent = words;
    };
    this.queue.add(async (wanted) => {
      if (!value.isConnected) return;
      this.#working(true);
      tell(`${name}: on its way to noise`);
      try {
        const words = await meter.measure(
          () => wanted() && value.isConnected,
          (share) => this.#progress.value = share,
        );
        value.textContent = meter.short;
        tell(words === undefined ? "Stopped" : `${name}: ${words}`);
      } catch (error) {
        tell(`This went wrong: ${error instanceof Error ? error.message : error}`);
      } finally {
        this.#working(false);
      }
    });
  }

  #working(working: boolean): void {
    this.#progress.value = 0;
    this.#progress.hidden = this.#stop.hidden = !working;
  }
}

/** Error allowed in a step, as in `deno task evaluate`: a smaller one changes the bits by less than the random signs do. */
const rtol = 1e-2;
/** Bits of a value in the file of an image. */
const plainBits = 8;

/** Measures the bits per dimension of one image, by other random signs each time. */
class BitsMeter {
  readonly #found: number[] = [];

  /**
   * @param run the network, by its place among all runs
   * @param pixels f32[C, H, W]
   * @param label the class of the image, for a network that knows classes
   */
  constructor(
    readonly engine: Engine,
    readonly run: number,
    readonly pixels: Float32Array,
    readonly label: number | undefined,
  ) {}

  /** The bits, or a dash as long as they are not known. */
  get short(): string {
    return this.#found.length > 0 ? meanOf(this.#found).toFixed(2) : "\u2013";
  }

  /**
   * Follows the image back to noise.
   *
   * @param onShare called with the share of the work that is done
   * @returns what was found in words; undefined if it was cancelled
   */
  async measure(wanted: () => boolean, onShare: (share: number) => void): Promise<string | undefined> {
    const { library, device } = this.engine;
    const { model, shape, normalization, classes } = this.engine.network(this.run);
    const label = classes > 0 ? this.label : undefined;
    const x1 = library.tensor(library.fromPixels(this.pixels, normalization), [1, ...shape]);
    const started = performance.now();
    const found = await unlessCancelled(library.bitsPerDimension(model, x1, {
      normalization,
      rtol,
      seed: this.#found.length,
      ...label !== undefined && { condition: library.tensor(Uint32Array.of(label), [1]) },
      onProgress: (share) => {
        onShare(share);
        return breatheWhile(wanted);
      },
    }));
    if (!found) return undefined;
    this.#found.push(found.bits[0]);
    const ms = Math.round(performance.now() - started).toLocaleString("en");
    const condition = label === undefined ? "" : `, asked for class ${label}`;
    return `${this.#words}. ${
      countOf(found.evaluations)
    }${condition}, each with a vector-Jacobian product, took ` +
      `${ms} ms on ${device}. Press again for other random signs.`;
  }

  /** The mean over all times, and what it means. */
  get #words(): string {
    const found = this.#found;
    const mean = meanOf(found);
    const variance = found.reduce((sum, bits) => sum + (bits - mean) ** 2, 0) / (found.length - 1);
    const error = found.length > 1 ? ` \u00b1 ${Math.sqrt(variance / found.length).toFixed(3)}` : "";
    const tries = found.length > 1 ? ` (${found.length} draws of random signs)` : "";
    const size = this.pixels.length.toLocaleString("en");
    const meaning = mean < plainBits
      ? `a code built on this network needs about ${
        (mean * this.pixels.length / 8).toFixed(0)
      } bytes for it, ` +
        `where its ${size} values take ${size}`
      : `more than the ${plainBits} of its file, so this network does not expect it at all`;
    return `${mean.toFixed(3)}${error} bits per dimension${tries}: ${meaning}`;
  }
}

function meanOf(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
