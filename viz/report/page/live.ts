/// <reference lib="dom" />
import type { PageNetwork, PageRun } from "../page_data.ts";
import type { Clock } from "./clock.ts";
import { byId, NumberField } from "./dom.ts";
import type { Engine } from "./engine.ts";
import type { Explorer } from "./explorer.ts";
import { LiveBits } from "./live_bits.ts";
import { type ChosenCondition, guidedBy, labelsOf, LiveCondition, SolverControls } from "./live_controls.ts";
import { LiveGrid } from "./live_grid.ts";
import { LivePaint } from "./live_paint.ts";
import { SampleJudge } from "./sample_judge.ts";
import type { Thumbnail } from "./thumbnails.ts";
import { GrowingTrajectory, inWords, type Steps } from "./trajectory_view.ts";
import { WorkQueue } from "./work.ts";

/** Pictures of "16 from here". */
const many = 16;
/** Milliseconds of work after which the stop button appears. */
const longMs = 700;
const maxSeed = 2 ** 32 - 1;

/** What the controls say. */
interface Chosen {
  readonly seeds: readonly number[];
  readonly how: Steps;
  readonly choice: ChosenCondition;
}

/** Lets readers draw new samples with the page's networks, and paint in them. */
export class Live {
  readonly #seed = new NumberField("live-seed", "Seed", () => this.#draw());
  readonly #solver: SolverControls;
  readonly #condition = new LiveCondition(() => this.#draw());
  readonly #text = byId("live-text");
  readonly #undo = byId("paint-undo");
  readonly #queue: WorkQueue;
  readonly #grid: LiveGrid;
  readonly #judges = new Map<number, SampleJudge>();
  readonly #paint: LivePaint;
  /** Why the shown run has no network. */
  #why: string | undefined;
  /** The run whose classes the controls show. */
  #conditionOf: number | undefined;

  constructor(
    readonly engine: Engine,
    readonly explorer: Explorer,
    readonly clock: Clock,
    readonly runs: readonly PageRun[],
  ) {
    const stop = byId("live-stop");
    let timer: ReturnType<typeof setTimeout> | undefined;
    this.#queue = new WorkQueue((busy) => {
      clearTimeout(timer);
      if (busy) timer = setTimeout(() => stop.hidden = false, longMs);
      else stop.hidden = true;
    }, (error) => this.#say(`Error: ${error instanceof Error ? error.message : error}`));
    const stopAll = () => {
      this.#queue.stop();
      this.#paint.stop();
      this.#say("Stopped");
    };
    stop.addEventListener("click", stopAll);
    this.#grid = new LiveGrid(explorer);
    this.#solver = new SolverControls(engine.library, () => this.#draw());
    byId("live-draw").addEventListener("click", () => this.#draw());
    byId("live-many").addEventListener("click", () => this.#drawMany());
    this.#paint = new LivePaint(engine, explorer, clock, this.#queue, (words) => this.#say(words));
    this.#undo.addEventListener("click", () => this.#paint.undo());
    new LiveBits(engine, explorer, this.#queue, runs, stopAll);
    explorer.onChange(() => this.#showTools());
    explorer.solveWith((run, sample) => this.#complete(run, sample));
    this.#say(this.#where);
    this.#showTools();
  }

  get #where(): string {
    return `The network is in this page, on ${this.engine.device}: ` +
      "draw new noise, or paint in x at any t and watch the flow go on from there.";
  }

  /** The entered values; if they are not valid, shows a message and returns undefined. */
  #choices(count: number): Chosen | undefined {
    const problems = [this.#seed, this.#solver, this.#condition].flatMap((field) => field.check() ?? []);
    if (problems.length > 0) {
      byId<HTMLDetailsElement>("live-more").open = true;
      return void this.#say(problems.join(" "));
    }
    const first = this.#seed.value;
    this.#seed.value = (first + count) % (maxSeed + 1); // the next press draws new samples
    return {
      seeds: Array.from({ length: count }, (_, i) => (first + i) % (maxSeed + 1)),
      how: this.#solver.how,
      choice: this.#condition.choice,
    };
  }

  #draw(): void {
    const chosen = this.#choices(1);
    if (!chosen) return;
    const { run } = this.explorer;
    this.#queue.add(async (wanted) => {
      const drawn = await this.#solve(run, chosen, wanted);
      if (!drawn) return;
      this.explorer.open(run, drawn.trajectories[0]);
      this.#say(`Seed ${chosen.seeds[0]}: ${drawn.cost}.`);
    });
  }

  #drawMany(): void {
    const chosen = this.#choices(many);
    if (!chosen) return;
    const { seeds } = chosen;
    const runs = [...this.explorer.names].filter(([run]) => this.#network(run));
    const places = this.#grid.prepare(runs, seeds);
    for (const [run] of runs) {
      const place = places.get(run)!;
      this.#queue.add(async (wanted) => {
        const drawn = await this.#solve(run, chosen, wanted, (image) => this.#grid.draw(place, image));
        if (!drawn) return;
        this.#grid.finish(place, run, drawn.trajectories);
        this.#say(`Seeds ${seeds[0]} to ${seeds[many - 1]}: ${drawn.cost}.`);
        const judged = await this.#judge(run)?.judge(drawn.image, many);
        if (judged) this.#grid.judged(place, judged, drawn.trajectories, this.runs[run].classNames);
      });
    }
  }

  /** Solves the trajectory of each seed; undefined if it was stopped. */
  async #solve(
    run: number,
    { seeds, how, choice }: Chosen,
    wanted: () => boolean,
    onImage: (image: Float32Array) => void = () => {},
  ) {
    const { engine, explorer: { size } } = this;
    const count = seeds.length;
    let image = await engine.noise(run, seeds);
    const started = performance.now();
    const labels = labelsOf(choice, engine.network(run).classes, seeds);
    const each = seeds.map((_, n) => ({ ...how, ...guidedBy(choice, labels?.[n], this.runs[run]) }));
    const growing = seeds.map((seed, n) => {
      const words = { name: `Seed ${seed}`, origin: `drawn in this page by ${inWords(each[n])}` };
      return new GrowingTrajectory(words, each[n], size);
    });
    const flow = engine.solve(run, image, each[0], { labels, wanted });
    for await (const { t, image: x, velocity } of flow.snapshots) {
      if (!wanted()) return undefined;
      const P = x.length / count;
      growing.forEach((one, n) => {
        const part = (values: Float32Array) => values.subarray(n * P, (n + 1) * P);
        one.add({ t, image: part(x), ...velocity && { velocity: part(velocity) } });
      });
      onImage(image = x);
    }
    if (!wanted()) return undefined;
    growing.forEach((one, n) => one.finish(flow.evaluations(), flow.tried()?.[n]));
    const cost = engine.costInWords(count === 1 ? each[0] : how, flow.evaluations(), started, {
      count,
      each: each[0],
    });
    return { trajectories: growing.map(({ view }) => view), image, cost };
  }

  /** Solves a recorded sample of which the page holds only the end. */
  #complete(run: number, sample: Thumbnail): void {
    const { engine, explorer } = this;
    this.#queue.add(async (queued) => {
      const { name, origin, solved, noise } = sample.original;
      const wanted = () => queued() && explorer.awaits(sample);
      if (!wanted() || !solved || !noise) return;
      this.#say(`Solving ${name.toLowerCase()}.`);
      const started = performance.now();
      const growing = new GrowingTrajectory({ name, origin }, solved, explorer.size);
      const flow = engine.solve(run, await engine.noise(run, [noise.seed], noise.row), solved, { wanted });
      for await (const snapshot of flow.snapshots) {
        if (!wanted()) return;
        growing.add(snapshot);
      }
      if (!wanted()) return;
      explorer.complete(sample, growing.view);
      this.#say(`${name}: ${engine.costInWords(solved, flow.evaluations(), started)}.`);
    });
  }

  /** Shows the tools for the shown run and sample. */
  #showTools(): void {
    const { live } = this.runs[this.explorer.run];
    const why = typeof live === "string" ? live : undefined;
    byId("live").hidden = byId("paint-tools").hidden = why !== undefined;
    this.#undo.hidden = this.explorer.shown === this.explorer.sample.original;
    if (why !== undefined) {
      this.#paint.putDown();
      this.#say(`No samples are drawn in this page from this model: ${why}.`);
    } else if (this.#why !== undefined) this.#say(this.#where);
    this.#why = why;
    if (why === undefined) this.#showCondition(this.explorer.run);
  }

  #showCondition(run: number): void {
    if (run === this.#conditionOf) return;
    this.#conditionOf = run;
    this.#queue.add(() => {
      const { guidance = this.#network(run)?.guidance } = this.explorer.recorded(run) ?? {};
      const { classNames = [] } = this.runs[run];
      const names = Array.from(
        { length: this.engine.network(run).classes },
        (_, c) => classNames[c] ?? `${c}`,
      );
      this.#condition.show(names, guidance);
      return Promise.resolve();
    }, { needed: true });
  }

  #network(run: number): PageNetwork | undefined {
    const { live } = this.runs[run];
    return typeof live === "string" ? undefined : live;
  }

  /** The judge of a run's samples, if the page holds one. */
  #judge(run: number): SampleJudge | undefined {
    const judge = this.#network(run)?.judge;
    if (judge && !this.#judges.has(run)) this.#judges.set(run, new SampleJudge(this.engine.library, judge));
    return this.#judges.get(run);
  }

  #say(text: string): void {
    this.#text.textContent = text;
  }
}
