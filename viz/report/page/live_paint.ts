/// <reference lib="dom" />
import type { Clock } from "./clock.ts";
import { nearestSnapshot } from "../../flow/trajectory.ts";
import { GrowingCourse, stateAt, timesOf } from "./course.ts";
import type { Engine } from "./engine.ts";
import type { Explorer } from "./explorer.ts";
import { type Brush, Painter, standardNormal } from "./painter.ts";
import { type Sample, settled } from "./thumbnails.ts";
import type { WorkQueue } from "./work.ts";

/** Milliseconds between two pictures of a course that is not done yet. */
const betweenMs = 100;

/** Paint in x at a step of a sample, from which the flow is still to be followed. */
interface Draft {
  readonly sample: Sample;
  readonly first: number;
  /** Draw in x, f32[C, H, W]; the work for some of them is out of date after the next one. */
  readonly strokes: ((image: Float32Array) => void)[];
}

/** Lets a reader paint in x at t, and follows the flow from there. */
export class LivePaint {
  /** What is on its way, in the order of the queue. */
  readonly #drafts = new Set<Draft>();
  readonly #painter: Painter;

  /** @param say tells the reader something */
  constructor(
    readonly engine: Engine,
    readonly explorer: Explorer,
    readonly clock: Clock,
    readonly queue: WorkQueue,
    readonly say: (words: string) => void,
  ) {
    this.#painter = new Painter(explorer, (pixels, brush) => this.#paint(pixels, brush));
  }

  /** Takes the brush away, where there is nothing to paint in. */
  putDown(): void {
    if (this.#painter.painting) this.#painter.painting = false;
  }

  /** Drops paint whose course is not complete. */
  stop(): void {
    for (const draft of this.#drafts) this.#drop(draft);
  }

  /** Removes all paint from the sample on the screen. */
  undo(): void {
    const { sample } = this.explorer;
    for (const draft of this.#drafts) if (draft.sample === sample) this.#drop(draft);
    this.explorer.settle(sample, sample.course);
    this.say("The painting is undone.");
  }

  #drop(draft: Draft): void {
    this.#drafts.delete(draft);
    this.explorer.settle(draft.sample);
  }

  #paint(pixels: readonly number[], brush: Brush): void {
    const { sample, run } = this.explorer;
    const how = sample.course.solved;
    if (!how) return this.say("It is not known how this sample was solved: draw new noise to paint in.");
    this.clock.stop();
    const first = nearestSnapshot(timesOf(how), this.clock.t);
    if (first >= how.steps) return this.say("At t = 1 no flow is left: move t back to paint.");
    const draft = this.#draftAt(sample, first);
    const [C, H, W] = this.explorer.size;
    const values = Array.from(
      { length: C },
      () =>
        brush === "noise"
          ? this.engine.toPixels(run, Float32Array.from(pixels, standardNormal))
          : new Float32Array(pixels.length).fill(brush === "white" ? 1 : 0),
    );
    const count = draft.strokes.push((image) => {
      values.forEach((own, c) => pixels.forEach((pixel, i) => image[c * H * W + pixel] = own[i]));
    });
    const wanted = () => this.#drafts.has(draft) && draft.strokes.length === count;
    this.queue.add(() => wanted() ? this.#follow(run, draft, wanted) : Promise.resolve());
  }

  /** The draft of a sample at a step, a new one if there is none; what is painted at earlier steps is followed first. */
  #draftAt(sample: Sample, first: number): Draft {
    // The flow leaves its course here, and never gets to later paint.
    for (const draft of this.#drafts) {
      if (draft.sample === sample && draft.first > first) this.#drop(draft);
    }
    const known = [...this.#drafts].find((draft) => draft.sample === sample && draft.first === first);
    if (known) return known;
    const draft = { sample, first, strokes: [] };
    this.#drafts.add(draft);
    return draft;
  }

  async #follow(run: number, draft: Draft, wanted: () => boolean): Promise<void> {
    const { sample, first } = draft;
    const how = sample.course.solved!;
    const started = performance.now();
    const from = settled(sample);
    const t = timesOf(how)[first];
    const { image } = stateAt(from, t);
    for (const stroke of draft.strokes) stroke(image);
    const painted = `painted at t = ${t.toFixed(2)}`;
    const { name, origin } = sample.course;
    const words = { name, origin: [origin, painted].filter(Boolean).join(", ") };
    const growing = new GrowingCourse(words, how, this.explorer.size, { course: from, first });
    let drawn = -Infinity;
    try {
      const flow = this.engine.follow(run, image, how, { first, wanted });
      for await (const states of flow.states) {
        if (!wanted()) return;
        growing.add(states);
        if (performance.now() - drawn < betweenMs) continue;
        this.explorer.grow(sample, growing.course);
        drawn = performance.now();
      }
      if (!wanted()) return;
      growing.finish(flow.evaluations(), flow.tried()?.[0]);
      this.#drafts.delete(draft);
      this.explorer.settle(sample, growing.course);
      this.say(`${name} ${painted}: ${this.engine.account(how, flow.evaluations(), started, { first })}.`);
    } catch (error) {
      this.#drop(draft);
      throw error;
    }
  }
}
