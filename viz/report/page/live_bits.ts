/// <reference lib="dom" />
import type { ExamplesPayload, LivePayload } from "../payload.ts";
import { BitsMeter } from "./bits_meter.ts";
import { bytesOf } from "./decode.ts";
import { byId, element } from "./dom.ts";
import type { Engine } from "./engine.ts";
import type { Explorer } from "./explorer.ts";
import { drawImage } from "./image_panel.ts";
import type { WorkQueue } from "./work.ts";

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
    readonly live: readonly (LivePayload | undefined)[],
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
    const examples = this.live[run]?.examples;
    this.#place.hidden = examples === undefined;
    this.#buttons.replaceChildren(...examples ? this.#buttonsFor(run, examples) : []);
    this.#text.textContent = "";
    this.#working(false);
  }

  #buttonsFor(run: number, { shape: [N, ...size], image, labels, classNames }: ExamplesPayload): Element[] {
    const pixels = Float32Array.from(bytesOf(image), (byte) => byte / 255);
    const P = pixels.length / N;
    const colours = { palette: this.explorer.palette, range: [0, 1] as const };
    return Array.from({ length: N }, (_, n) => {
      const own = pixels.subarray(n * P, (n + 1) * P);
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
