/// <reference lib="dom" />
import type { Clock } from "./clock.ts";
import { type Course, GrowingCourse, stateAt } from "./course.ts";
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
  /** The course that it leaves, at the step `first`. */
  readonly from: Course;
  readonly first: number;
  readonly image: Float32Array;
}

/** Lets a reader change x at t, and the flow go on from there. */
export class LivePaint {
  /** How many there were; what was painted before the last one is in it. */
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

  /** Drops paint whose course is not known yet. */
  stop(): void {
    this.#strokes++;
    if (this.#draft) this.explorer.settle(this.#draft.sample);
    this.#draft = undefined;
  }

  /** Takes all paint off the sample on the screen. */
  undo(): void {
    this.stop();
    this.explorer.settle(this.explorer.sample, this.explorer.sample.course);
    this.say("Back on the way without paint.");
  }

  #paint(pixels: readonly number[], brush: Brush): void {
    const { sample, run } = this.explorer;
    const how = sample.course.solved;
    if (!how) return this.say("How this sample was solved is not known: draw new noise to paint in.");
    this.clock.stop();
    const first = Math.round(this.clock.t * how.steps);
    if (first >= how.steps) return this.say("At t = 1 no flow is left: move t back to paint.");
    if (this.#draft?.sample !== sample || this.#draft.first !== first) {
      const from = settled(sample);
      this.#draft = { sample, from, first, image: stateAt(from, first / how.steps).image };
    }
    const draft = this.#draft;
    for (const pixel of pixels) {
      draft.image[pixel] = brush === "noise"
        ? this.engine.pixelOf(run, standardNormal())
        : Number(brush === "white");
    }
    const stroke = ++this.#strokes;
    this.queue.add(() => stroke < this.#strokes ? Promise.resolve() : this.#follow(run, draft, stroke));
  }

  async #follow(run: number, { sample, from, first, image }: Draft, stroke: number): Promise<void> {
    const how = sample.course.solved!;
    const started = performance.now();
    const painted = `painted at t = ${(first / how.steps).toFixed(2)}`;
    const { name, origin } = sample.course;
    const words = { name, origin: [origin, painted].filter(Boolean).join(", ") };
    const growing = new GrowingCourse(words, how, this.explorer.size, { course: from, first });
    let drawn = -Infinity;
    try {
      for await (const states of this.engine.follow(run, image.slice(), how, first)) {
        if (stroke < this.#strokes) return; // there is more paint by now, or none
        growing.add(states);
        if (performance.now() - drawn < betweenMs) continue;
        this.explorer.grow(sample, growing.course);
        drawn = performance.now();
      }
    } catch (error) {
      this.stop();
      throw error;
    }
    this.explorer.settle(sample, growing.course);
    this.say(`${name} ${painted}: ${this.engine.account(how, started, { first })}.`);
  }
}
