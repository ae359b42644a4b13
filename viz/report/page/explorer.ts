/// <reference lib="dom" />
import { nearestSnapshot } from "../../flow/evolution.ts";
import { quiver } from "../../flow/quiver.ts";
import type { RunPayload } from "../payload.ts";
import { drawArrows } from "./arrows.ts";
import type { Clock } from "./clock.ts";
import { type Course, field, recordedCourses } from "./course.ts";
import { bytesOf } from "./decode.ts";
import { byId, chooseRun, signed } from "./dom.ts";
import { drawImage, type Pixel, pointAtPixels, reserve } from "./image_panel.ts";
import { PixelChart } from "./pixel_chart.ts";
import { type Sample, settled, shown, Thumbnails } from "./thumbnails.ts";
import type { Views } from "./views.ts";

/** A run with the samples that a reader can look at. */
interface ExplorerRun {
  /** Its place among all runs of the report. */
  readonly run: number;
  readonly name: string;
  readonly samples: Sample[];
  /** Largest magnitude of a velocity of the recorded samples: the scale of the colours for all of them. */
  readonly fastest: number;
  chosen: Sample;
}

/** One sample on its way in four linked pictures, and its pixel over time. */
export class Explorer {
  readonly #runs: readonly ExplorerRun[];
  readonly #place = byId("explorer");
  readonly #choice = byId<HTMLSelectElement>("explorer-run");
  readonly #diverging: Uint8Array;
  readonly #chart = new PixelChart();
  readonly #thumbnails: Thumbnails;
  readonly #hear: (() => void)[] = [];
  #pixel: Pixel;
  #held = false;

  constructor(
    runs: readonly RunPayload[],
    palettes: { readonly magma: string; readonly diverging: string },
    readonly clock: Clock,
    readonly views: Views,
  ) {
    this.#runs = runs.flatMap(({ name, flow }, run) => {
      if (!flow) return [];
      const { courses, fastest } = recordedCourses(flow);
      const samples = courses.map((course): Sample => ({ course }));
      return [{ run, name, samples, fastest, chosen: samples[0] }];
    });
    this.#diverging = bytesOf(palettes.diverging);
    this.#thumbnails = new Thumbnails(
      byId("explorer-samples"),
      bytesOf(palettes.magma),
      (sample) => this.#choose(sample),
    );
    const [, H, W] = this.shown.shape;
    reserve(this.#place, [H, W]);
    this.#pixel = { row: H >> 1, column: W >> 1 };
    chooseRun(this.#choice, this.#runs.map(({ name }) => name), 0, () => this.#changed());
    for (const frame of this.#place.querySelectorAll<HTMLElement>(".frame")) {
      pointAtPixels(frame, [H, W], () => this.#pixel, (pixel, hold) => this.#point(pixel, hold));
    }
    byId("pixel-release").addEventListener("click", () => this.#hold(false));
    views.add(this.#place, () => this.#draw());
    views.add(this.#chart.element, () => this.#drawChart());
    this.#changed();
  }

  get #run(): ExplorerRun {
    return this.#runs[Number(this.#choice.value)];
  }

  /** The run that is looked at, by its place among all runs of the report. */
  get run(): number {
    return this.#run.run;
  }

  /** Names of the runs that can be looked at, by their place among all. */
  get names(): ReadonlyMap<number, string> {
    return new Map(this.#runs.map(({ run, name }) => [run, name]));
  }

  /** The course on the screen. */
  get shown(): Course {
    return shown(this.#run.chosen);
  }

  /** The sample on the screen. */
  get sample(): Sample {
    return this.#run.chosen;
  }

  /** The pixel that is pointed at. */
  get pixel(): Pixel {
    return this.#pixel;
  }

  /** Height and width of all images. */
  get size(): readonly [H: number, W: number] {
    const [, H, W] = this.shown.shape;
    return [H, W];
  }

  /** Colours of images, u8[256, 3]. */
  get palette(): Uint8Array {
    return this.#thumbnails.palette;
  }

  /** Calls back whenever another sample or run is on the screen. */
  onChange(hear: () => void): void {
    this.#hear.push(hear);
  }

  /** Puts a course of a run on the screen, among the run's samples if it is new there. */
  open(run: number, course: Course): void {
    const choice = this.#runs.findIndex((other) => other.run === run);
    this.#choice.value = String(choice);
    const { samples } = this.#runs[choice];
    let sample = samples.find((known) => known.course === course);
    if (!sample) samples.push(sample = { course });
    this.#choose(sample);
  }

  /** Shows what has become of a sample so far, since the reader painted in it. */
  grow(sample: Sample, growing: Course): void {
    sample.growing = growing;
    this.#thumbnails.show(this.#run.samples, this.#run.chosen);
    this.views.changed(this.#place);
  }

  /** Shows what became of a painted sample; without a course its last one again. */
  settle(sample: Sample, painted: Course = settled(sample)): void {
    delete sample.growing;
    if (painted === sample.course) delete sample.painted;
    else sample.painted = painted;
    this.#changed();
  }

  #choose(sample: Sample): void {
    this.#run.chosen = sample;
    this.#changed();
  }

  #changed(): void {
    this.#thumbnails.show(this.#run.samples, this.#run.chosen);
    this.views.changed();
    for (const hear of this.#hear) hear();
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

  #draw(): void {
    const course = this.shown;
    const { shape: [, H, W], t, velocityT } = course;
    const { fastest } = this.#run;
    const m = nearestSnapshot(t, this.clock.t);
    const [x, v] = [field(course, "image", m), field(course, "velocity", m)];
    // At the end there is nothing left to predict.
    const end = velocityT[m] === t[m] ? x.map((value, i) => value + (1 - t[m]) * v[i]) : x;
    const size = [H, W] as const;
    const grey = { palette: this.palette, range: [0, 1] as const };
    // Red where pixels brighten, blue where they darken.
    const signedColours = { palette: this.#diverging, range: [fastest, -fastest] as const };
    drawImage(byId("view-x"), x, size, grey);
    drawImage(byId("view-v"), v, size, signedColours);
    drawImage(byId("view-end"), end, size, grey);
    drawImage(byId("view-quiver"), x, size, grey);
    drawArrows(byId("view-arrows"), quiver(v, size), size, steepest(course));
    byId("view-v-scale").textContent = `\u2212${fastest.toFixed(1)} to +${fastest.toFixed(1)}`;
    byId("flow-times").textContent = [course.name, course.origin, `snapshot at t = ${t[m].toFixed(3)}`]
      .filter(Boolean).join("; ") +
      (velocityT[m] === t[m] ? "" : `; velocity of the last step, t = ${velocityT[m].toFixed(3)}`);

    const { row, column } = this.#pixel;
    const i = row * W + column;
    byId("pixel-text").textContent =
      `row ${row}, column ${column}: value ${signed(x[i])}, velocity ${signed(v[i])}, ` +
      `predicted end ${signed(end[i])}`;
    for (const mark of this.#place.querySelectorAll<HTMLElement>(".mark")) {
      mark.style.cssText = `left:${100 * column / W}%;top:${100 * row / H}%;width:${100 / W}%;height:${
        100 / H
      }%`;
    }
  }

  #drawChart(): void {
    const course = this.shown;
    const { id, shape: [M, , W], t, velocityT } = course;
    const { row, column } = this.#pixel;
    const over = (name: "image" | "velocity") => {
      return Array.from({ length: M }, (_, m) => field(course, name, m)[row * W + column]);
    };
    this.#chart.show({
      key: `${id} ${row} ${column}`,
      t,
      velocityT,
      value: over("image"),
      velocity: over("velocity"),
    }, this.clock.t);
  }
}

/** The largest difference between blocks on a sample's whole way, so that arrows can be compared over t. */
function steepest(course: Course): number {
  const { shape: [M, H, W] } = course;
  let most = 0;
  for (let m = 0; m < M; m += Math.max(1, Math.floor(M / 10))) {
    for (const { dx, dy } of quiver(field(course, "velocity", m), [H, W])) {
      most = Math.max(most, Math.hypot(dx, dy));
    }
  }
  return most / 1.5; // the longest arrow spans one and a half blocks
}
