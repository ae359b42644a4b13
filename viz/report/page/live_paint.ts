/// <reference lib="dom" />
import type { Clock } from "./clock.ts";
import { nearestSnapshot } from "../../flow/evolution.ts";
import { type Course, GrowingCourse, stateAt, timesOf } from "./course.ts";
import type { Engine } from "./engine.ts";
import type { Explorer } from "./explorer.ts";
import { type Brush, Painter, standardNormal } from "./painter.ts";
import { type Sample, settled } from "./thumbnails.ts";
import type { WorkQueue } from "./work.ts";

/** Milliseconds between two pictures of a course that is not done yet. */
const betweenMs = 100;

/** A painted state on the way of a sample. */
interface Draft {
  readonly sample: Sample;
  /** The course that it leaves at the step `first`, at time t. */
  readonly from: Course;
  readonly first: number;
  readonly t: number;
  /** f32[C, H, W] */
  readonly image: Float32Array;
}

/** Lets a reader paint in x at t, and follows the flow from there. */
export class LivePaint {
  /** Counts strokes; the work for a stroke is out of date after the next one, which includes it. */
  #strokes = 0;
  #draft: Draft | undefined;

  /** @param say tells the reader something */
  constructor(
    readonly engine: Engine,
    readonly explorer: Explorer,
    readonly clock: Clock,
    readonly queue: WorkQueue,
    readonly say: (words: string) => void,
  ) {
    new Painter(explorer, (pixels, brush) => this.#paint(pixels, brush));
  }

  /** Drops paint whose course is not complete. */
  stop(): void {
    this.#strokes++;
    if (this.#draft) this.explorer.settle(this.#draft.sample);
    this.#draft = undefined;
  }

  /** Removes all paint from the sample on the screen. */
  undo(): void {
    this.stop();
    this.explorer.settle(this.explorer.sample, this.explorer.sample.course);
    this.say("The painting is undone.");
  }

  #paint(pixels: readonly number[], brush: Brush): void {
    const { sample, run } = this.explorer;
    const how = sample.course.solved;
    if (!how) return this.say("It is not known how this sample was solved: draw new noise to paint in.");
    this.clock.stop();
    const times = timesOf(how);
    const first = nearestSnapshot(times, this.clock.t);
    if (first >= how.steps) return this.say("At t = 1 no flow is left: move t back to paint.");
    if (this.#draft?.sample !== sample || this.#draft.first !== first) {
      const [from, t] = [settled(sample), times[first]];
      this.#draft = { sample, from, first, t, image: stateAt(from, t).image };
    }
    const draft = this.#draft;
    const [C, H, W] = this.explorer.size;
    for (let c = 0; c < C; c++) {
      const values = brush === "noise"
        ? this.engine.toPixels(run, Float32Array.from(pixels, standardNormal))
        : new Float32Array(pixels.length).fill(brush === "white" ? 1 : 0);
      pixels.forEach((pixel, i) => draft.image[c * H * W + pixel] = values[i]);
    }
    const stroke = ++this.#strokes;
    this.queue.add(() => stroke < this.#strokes ? Promise.resolve() : this.#follow(run, draft, stroke));
  }

  async #follow(run: number, { sample, from, first, t, image }: Draft, stroke: number): Promise<void> {
    const how = sample.course.solved!;
    const started = performance.now();
    const painted = `painted at t = ${t.toFixed(2)}`;
    const { name, origin } = sample.course;
    const words = { name, origin: [origin, painted].filter(Boolean).join(", ") };
    const growing = new GrowingCourse(words, how, this.explorer.size, { course: from, first });
    const wanted = () => stroke === this.#strokes; // else more was painted since, or all was undone
    let drawn = -Infinity;
    try {
      const flow = this.engine.follow(run, image.slice(), how, { first, wanted });
      for await (const states of flow.states) {
        if (!wanted()) return;
        growing.add(states);
        if (performance.now() - drawn < betweenMs) continue;
        this.explorer.grow(sample, growing.course);
        drawn = performance.now();
      }
      if (!wanted()) return;
      growing.finish(flow.evaluations(), flow.tried()?.[0]);
      this.explorer.settle(sample, growing.course);
      this.say(`${name} ${painted}: ${this.engine.account(how, flow.evaluations(), started, { first })}.`);
    } catch (error) {
      this.stop();
      throw error;
    }
  }
}
