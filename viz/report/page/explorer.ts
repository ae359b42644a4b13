/// <reference lib="dom" />
import { imageAt, imageSizeOf, nearestSnapshot } from "../../flow/trajectory.ts";
import { channelMean, type ImageSize } from "../../image/image_shape.ts";
import type { PageRun } from "../page_data.ts";
import { Chart } from "./charts.ts";
import type { Clock } from "./clock.ts";
import { byId, chooseRun, element, signed } from "./dom.ts";
import {
  channelsOf,
  type Colours,
  drawImage,
  type PageColours,
  type Pixel,
  pointAtPixels,
  reserve,
} from "./image_panel.ts";
import { pixelFigure, type PixelTrajectory } from "./pixel_chart.ts";
import { StepStrip } from "./step_strip.ts";
import {
  isEnd,
  lastVelocity,
  predictedEnd,
  recorded,
  type Steps,
  type TrajectoryView,
} from "./trajectory_view.ts";
import type { Views } from "./views.ts";

/** A sample with its trajectories. */
export interface Thumbnail {
  original: TrajectoryView;
  /** The trajectory after painting. */
  painted?: TrajectoryView;
  /** The solved part of the trajectory after more painting. */
  growing?: TrajectoryView;
}

/** The last complete trajectory of a sample. */
export function settled({ original, painted }: Thumbnail): TrajectoryView {
  return painted ?? original;
}

/** The latest trajectory of a sample, complete or not. */
function shown(sample: Thumbnail): TrajectoryView {
  return sample.growing ?? settled(sample);
}

interface Entry {
  readonly sample: Thumbnail;
  readonly button: HTMLButtonElement;
  drawn?: TrajectoryView;
}

/** Buttons that show the finished image of each sample. */
class Thumbnails {
  #buttons: Entry[] = [];

  /** Whether the page can solve samples of which it embeds only the end. */
  canSolve = false;

  readonly place = byId("explorer-samples");

  constructor(readonly colours: Colours, readonly onChoose: (sample: Thumbnail) => void) {}

  /** Shows samples and marks the selected one. */
  show(samples: readonly Thumbnail[], chosen: Thumbnail): void {
    if (samples.length !== this.#buttons.length || samples.some((s, i) => s !== this.#buttons[i].sample)) {
      const entries = new Map(this.#buttons.map((entry) => [entry.sample, entry]));
      this.#buttons = samples.map((sample) =>
        entries.get(sample) ?? { sample, button: this.#button(sample) }
      );
      this.place.replaceChildren(...this.#buttons.map(({ button }) => button));
    }
    for (const entry of this.#buttons) this.#update(entry, entry.sample === chosen);
  }

  #button(sample: Thumbnail): HTMLButtonElement {
    const { name, origin } = sample.original;
    const canvas = element("canvas", { "aria-hidden": "true" });
    const button = element("button", { type: "button", title: origin, "aria-label": name }, canvas);
    button.addEventListener("click", () => this.onChoose(sample));
    return button;
  }

  #update(entry: Entry, chosen: boolean): void {
    const { sample, button } = entry;
    const trajectory = shown(sample);
    const pressed = `${chosen}`;
    if (button.getAttribute("aria-pressed") !== pressed) {
      button.setAttribute("aria-pressed", pressed);
      if (chosen) this.place.scrollLeft = Math.max(this.#leftFor(button), 0);
    }
    button.disabled = isEnd(trajectory) && !this.canSolve;
    if (entry.drawn === trajectory) return;
    entry.drawn = trajectory;
    const end = imageAt(trajectory, trajectory.shape[0] - 1);
    drawImage(button.querySelector("canvas")!, end, imageSizeOf(trajectory), this.colours);
    button.classList.toggle("painted", trajectory !== sample.original);
  }

  /** Scroll position of the row that shows a button. */
  #leftFor({ offsetLeft, offsetWidth }: HTMLElement): number {
    const { scrollLeft, clientWidth } = this.place;
    return Math.min(Math.max(scrollLeft, offsetLeft + offsetWidth - clientWidth), offsetLeft);
  }
}

/** A run with its samples. */
interface ExplorerRun {
  /** Index among all runs. */
  readonly run: number;
  readonly name: string;
  readonly samples: Thumbnail[];
  /** Largest magnitude of a velocity in the recorded samples, which determines the colour scale. */
  readonly fastest: number;
  chosen: Thumbnail;
}

/** Shows one sample at t in three linked pictures, and one of its pixels over time. */
export class Explorer {
  readonly #runs: readonly ExplorerRun[];
  readonly #place = byId("explorer");
  readonly #choice = byId<HTMLSelectElement>("explorer-run");
  readonly #chart = new Chart(byId("pixel-chart"), () => pixelFigure(this.#pixelTrajectory));
  readonly #strip = new StepStrip();
  readonly #thumbnails: Thumbnails;
  readonly #listeners: (() => void)[] = [];
  #pixel: Pixel;
  #held = false;
  #solve: ((run: number, sample: Thumbnail) => AbortController) | undefined;
  /** The work on the sample that the reader is waiting for. */
  #awaited: AbortController | undefined;

  constructor(
    runs: readonly PageRun[],
    readonly colours: PageColours,
    readonly clock: Clock,
    readonly views: Views,
  ) {
    this.#runs = runs.flatMap((pageRun, run) => {
      const { name, trajectories, fastest } = pageRun;
      if (trajectories.length === 0) return [];
      const samples: Thumbnail[] = recorded(pageRun).map((original) => ({ original }));
      return [{ run, name, samples, fastest, chosen: samples[0] }];
    });
    this.#thumbnails = new Thumbnails(colours.image, (one) => this.#choose(one));
    const { size } = this;
    const [, H, W] = size;
    reserve(this.#place, size);
    this.#pixel = { row: H >> 1, column: W >> 1 };
    chooseRun(this.#choice, this.#runs.map(({ name }) => name), 0, () => {
      this.#awaited?.abort();
      this.#changed();
    });
    for (const frame of this.#place.querySelectorAll<HTMLElement>(".frame")) {
      pointAtPixels(frame, size, () => this.#pixel, (pixel, hold) => this.#point(pixel, hold));
    }
    byId("pixel-release").addEventListener("click", () => this.#hold(false));
    views.add(this.#place, () => this.#draw());
    views.add(this.#chart.element, () => this.#chart.show(this.#key, clock.t));
    this.#changed();
  }

  get #run(): ExplorerRun {
    return this.#runs[Number(this.#choice.value)];
  }

  /** Index of the shown run among all runs of the report. */
  get run(): number {
    return this.#run.run;
  }

  /** Names of the runs with trajectories, by index among all runs. */
  get names(): ReadonlyMap<number, string> {
    return new Map(this.#runs.map(({ run, name }) => [run, name]));
  }

  get shown(): TrajectoryView {
    return shown(this.#run.chosen);
  }

  get sample(): Thumbnail {
    return this.#run.chosen;
  }

  /** The solver settings of a run's recorded samples. */
  recorded(run: number): Steps | undefined {
    return this.#runs.find((other) => other.run === run)?.samples[0].original.solved;
  }

  get pixel(): Pixel {
    return this.#pixel;
  }

  /** Channels, height and width of all images. */
  get size(): ImageSize {
    return imageSizeOf(this.shown);
  }

  /** Adds a listener for changes of the shown sample or run. */
  onChange(listener: () => void): void {
    this.#listeners.push(listener);
  }

  /** Whether the page embeds only the ends of some samples. */
  get hasEnds(): boolean {
    return this.#runs.some(({ samples }) => samples.some(({ original }) => isEnd(original)));
  }

  /**
   * Lets readers select samples of which the page embeds only the end. `solve` must {@linkcode complete} them, unless the
   * reader selects another sample first.
   */
  solveWith(solve: (run: number, sample: Thumbnail) => AbortController): void {
    this.#solve = solve;
    this.#thumbnails.canSolve = true;
    this.#thumbnails.show(this.#run.samples, this.#run.chosen);
  }

  /** Shows an awaited sample with its trajectory. */
  complete(sample: Thumbnail, trajectory: TrajectoryView): void {
    this.#awaited = undefined;
    sample.original = trajectory;
    this.#choose(sample);
  }

  /** Shows a trajectory of a run, and adds it to the run's samples if it is new. */
  open(run: number, original: TrajectoryView): void {
    const choice = this.#runs.findIndex((other) => other.run === run);
    this.#choice.value = String(choice);
    const { samples } = this.#runs[choice];
    let sample = samples.find((known) => known.original === original);
    if (!sample) {
      sample = { original };
      samples.push(sample);
    }
    this.#choose(sample);
  }

  /** Shows the solved part of a painted sample's new trajectory. */
  grow(sample: Thumbnail, growing: TrajectoryView): void {
    sample.growing = growing;
    this.#thumbnails.show(this.#run.samples, this.#run.chosen);
    this.views.changed(this.#place);
  }

  /** Shows a painted sample with its new trajectory, or by default its last complete one. */
  settle(sample: Thumbnail, painted: TrajectoryView = settled(sample)): void {
    delete sample.growing;
    if (painted === sample.original) delete sample.painted;
    else sample.painted = painted;
    this.#changed();
  }

  #choose(sample: Thumbnail): void {
    this.#awaited?.abort();
    this.#awaited = undefined;
    if (isEnd(sample.original)) {
      this.#awaited = this.#solve?.(this.run, sample);
      return;
    }
    this.#run.chosen = sample;
    this.#changed();
  }

  #changed(): void {
    this.#thumbnails.show(this.#run.samples, this.#run.chosen);
    this.views.changed();
    for (const listener of this.#listeners) listener();
  }

  #point(pixel: Pixel, hold: boolean): void {
    if (this.#held && !hold) return;
    this.#pixel = pixel;
    this.#hold(hold);
    this.views.changed(this.#place);
    this.views.changed(this.#chart.element);
  }

  #hold(held: boolean): void {
    this.#held = held;
    byId("pixel-release").hidden = !held;
  }

  /** A unique key for each trajectory and pixel. */
  get #key(): string {
    return `${this.shown.id} ${this.#pixel.row} ${this.#pixel.column}`;
  }

  #draw(): void {
    const trajectory = this.shown;
    const { size } = this;
    const [C, H, W] = size;
    const { t, name, origin } = trajectory;
    const { fastest } = this.#run;
    const m = nearestSnapshot(t, this.clock.t);
    const x = imageAt(trajectory, m);
    const { velocity: v, t: velocityT } = lastVelocity(trajectory, m);
    const end = predictedEnd(trajectory, m);
    const mean = channelMean(v, size);
    const { image } = this.colours;
    drawImage(byId("view-x"), x, size, image);
    drawImage(byId("view-v"), mean, [1, H, W], this.colours.signed(fastest));
    drawImage(byId("view-end"), end, size, image);
    byId("view-v-scale").textContent = `\u2212${fastest.toFixed(1)} to +${fastest.toFixed(1)}`;
    byId("flow-times").textContent = [name, origin, `snapshot at t = ${t[m].toFixed(3)}`]
      .filter(Boolean).join("; ") +
      (velocityT === t[m] ? "" : `; velocity of the last step, t = ${velocityT.toFixed(3)}`) +
      (trajectory.solved?.solver === "map"
        ? "; the map jumps between snapshots, v is its mean velocity"
        : "");
    this.#strip.show(trajectory, t[m]);
    const { row, column } = this.#pixel;
    byId("pixel-text").dataset.key = this.#key; // for tests
    const words = (values: Float32Array) =>
      channelsOf(values, size, this.#pixel).map((x) => signed(x)).join(" ");
    byId("pixel-text").textContent = `row ${row}, column ${column}${C === 1 ? "" : " (red, green, blue)"}: ` +
      `value ${words(x)}, velocity ${words(v)}, predicted end ${words(end)}`;
    const [left, top, width, height] = [column / W, row / H, 1 / W, 1 / H].map((share) => `${100 * share}%`);
    for (const mark of this.#place.querySelectorAll<HTMLElement>(".mark")) {
      Object.assign(mark.style, { left, top, width, height });
    }
  }

  get #pixelTrajectory(): PixelTrajectory {
    const { t, image, velocity } = this.shown;
    const { size } = this;
    const { row, column } = this.#pixel;
    const [C, H, W] = size;
    const over = (field: Float32Array) =>
      Array.from({ length: C }, (_, c) => {
        const times = Array.from({ length: field.length / (C * H * W) }, (_, m) => m);
        return times.map((m) => field[((m * C + c) * H + row) * W + column]);
      });
    return { t: Array.from(t), value: over(image), velocity: over(velocity) };
  }
}
