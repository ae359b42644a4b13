/// <reference lib="dom" />
import { imageAt } from "../../flow/trajectory.ts";
import type { PageRun } from "../page_data.ts";
import type { LiveNetwork } from "../report_data.ts";
import type { Clock } from "./clock.ts";
import { byId, NumberField } from "./dom.ts";
import type { Explorer, Thumbnail } from "./explorer.ts";
import {
  type ChosenCondition,
  guidedBy,
  labelsOf,
  LiveCondition,
  SolverControls,
  solverFor,
} from "./live_controls.ts";
import { LiveGrid, type Row } from "./live_grid.ts";
import { LivePaint } from "./live_paint.ts";
import type { RemoteEngine } from "./remote_engine.ts";
import { stepComparison } from "./step_comparison.ts";
import { drawnInPage, GrowingTrajectory, isEnd, originOf, type Steps } from "./trajectory_view.ts";
import { messageOf } from "./remote_worker.ts";
import { type Running, type Work, WorkQueue } from "./work.ts";

/** Number of samples of "Draw 16". */
const many = 16;
/** Milliseconds of work after which the stop button appears. */
const longMs = 700;
const maxSeed = 2 ** 32 - 1;

/** The values of the controls. */
interface Chosen {
  readonly seeds: readonly number[];
  readonly how: Promise<Steps>;
  readonly choice: ChosenCondition;
}

/** Lets readers draw new samples with the page's networks, and paint on them. */
export class Live {
  readonly #seed = new NumberField("live-seed", "Seed", () => this.#draw());
  readonly #solver: SolverControls;
  readonly #condition = new LiveCondition(() => this.#draw(), () => this.#redraw());
  readonly #text = byId("live-text");
  readonly #undo = byId("paint-undo");
  readonly #queue: WorkQueue;
  readonly #grid: LiveGrid;
  readonly #paint: LivePaint;
  /** The latest work on a sample for the explorer; newer work replaces it. */
  #sample: AbortController | undefined;
  /** The latest work on the grid. */
  #many: readonly AbortController[] = [];
  /** Why the shown run has no network. */
  #why: string | undefined;
  /** The run whose classes the controls show. */
  #conditionOf: number | undefined;

  constructor(
    readonly engine: RemoteEngine,
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
    }, (error) => this.#say(`Error: ${messageOf(error)}`));
    stop.addEventListener("click", () => {
      this.#queue.stop();
      this.#paint.stop();
      this.#say("Stopped");
    });
    this.#grid = new LiveGrid(explorer);
    this.#solver = new SolverControls(engine, () => this.#draw());
    byId("live-draw").addEventListener("click", () => this.#draw());
    byId("live-many").addEventListener("click", () => this.#drawMany());
    byId("live-compare").addEventListener("click", () => this.#compareSteps());
    this.#paint = new LivePaint(engine, explorer, clock, this.#queue, (words) => this.#say(words));
    this.#undo.addEventListener("click", () => this.#paint.undo());
    explorer.onChange(() => this.#showTools());
    explorer.solveWith((run, sample) => this.#complete(run, sample));
    this.#say(this.#where);
    this.#showTools();
  }

  get #where(): string {
    return `The network runs in this page, on ${this.engine.offered.device}: ` +
      "draw new noise, or paint on x at any t and watch the flow continue from there.";
  }

  /** Returns the entered values; if they are invalid, shows a message and returns undefined. */
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
      how: this.#solver.how(),
      choice: this.#condition.choice,
    };
  }

  #draw(): void {
    const chosen = this.#choices(1);
    if (!chosen) return;
    const { run } = this.explorer;
    this.#replace(async (running) => {
      const { trajectories, cost } = await this.#solve(run, chosen, running);
      this.explorer.open(run, trajectories[0]);
      this.#say(`Seed ${chosen.seeds[0]}: ${cost}.`);
    });
  }

  /** Redraws the current sample from its noise, with the guidance of the slider. */
  #redraw(): void {
    const { explorer: { run, sample, size }, runs } = this;
    const { original } = sample;
    if (isEnd(original)) return;
    const chosen = this.#solver.how();
    const { choice } = this.#condition;
    this.#replace(async (running) => {
      const label = original.solved?.label;
      const how = { ...solverFor(await chosen, runs[run]), ...guidedBy(choice, label, runs[run]) };
      await this.#show(run, sample, imageAt(original, 0), drawnInPage(original.name, how, size), running);
    });
  }

  /** Solves a recorded sample of which the page embeds only the end. */
  #complete(run: number, sample: Thumbnail): AbortController {
    const { engine, explorer: { size } } = this;
    return this.#replace(async (running) => {
      const { name, solved, noise } = sample.original;
      if (!solved || !noise) return;
      this.#say(`Solving ${name.toLowerCase()}.`);
      const x0 = await engine.call((remote) => remote.noise(run, [noise.seed], noise.row));
      const growing = new GrowingTrajectory({ name, origin: originOf(noise, solved) }, solved, size);
      await this.#show(run, sample, x0, growing, running);
    });
  }

  /** Solves a new trajectory of a sample, and shows it. */
  async #show(
    run: number,
    sample: Thumbnail,
    x0: Float32Array,
    growing: GrowingTrajectory,
    running: Running,
  ) {
    const cost = await this.engine.solve(run, x0, [growing], running);
    this.explorer.complete(sample, growing.view);
    this.#say(`${growing.words.name}: ${cost}.`);
  }

  /** Queues work on a sample for the explorer, in place of earlier work. */
  #replace(work: Work): AbortController {
    this.#sample?.abort();
    this.#sample = this.#queue.add(work);
    return this.#sample;
  }

  #drawMany(): void {
    const chosen = this.#choices(many);
    if (!chosen) return;
    const { seeds } = chosen;
    const runs = [...this.explorer.names].filter(([run]) => this.#network(run));
    const several = runs.length > 1;
    const places = this.#grid.prepare(runs.map(([, name]): Row => ({
      words: `${several ? `${name}, seeds` : "Seeds"} ${seeds[0]} to ${seeds[many - 1]}`,
      pictures: seeds.map((seed) => ({
        label: `Show seed ${seed}${several ? ` of ${name}` : ""}`,
        title: `Seed ${seed}`,
      })),
    })));
    for (const work of this.#many) work.abort();
    this.#many = runs.map(([run], i) => {
      const place = places[i];
      return this.#queue.add(async (running) => {
        let pixels = new Float32Array() as Float32Array;
        const { trajectories, cost } = await this.#solve(run, chosen, running, (x) => {
          pixels = x;
          this.#grid.draw(place, pixels);
        });
        this.#grid.finish(place, run, trajectories);
        this.#say(`Seeds ${seeds[0]} to ${seeds[many - 1]}: ${cost}.`);
        if (!this.#network(run)?.judge) return;
        const judged = await this.engine.callInTurn(running, (remote) => remote.judge(run, pixels, many));
        this.#grid.judged(place, judged, trajectories, this.runs[run].classNames);
      }, "background");
    });
  }

  /** Draws the current sample from its noise with more and more evaluations, side by side. */
  #compareSteps(): void {
    const problem = this.#condition.check();
    if (problem !== undefined) return this.#say(problem);
    const { engine, explorer, runs } = this;
    const place = { engine, explorer, runs, grid: this.#grid, say: (words: string) => this.#say(words) };
    for (const work of this.#many) work.abort();
    this.#many = [this.#queue.add(stepComparison(place, this.#condition.choice), "background")];
  }

  /** Solves the trajectory of each seed. */
  async #solve(
    run: number,
    { seeds, how, choice }: Chosen,
    running: Running,
    onPart?: (pixels: Float32Array) => void,
  ) {
    const { engine, runs, explorer: { size } } = this;
    const solver = solverFor(await how, runs[run]);
    const classes = await engine.classes(run);
    const x0 = await engine.call((remote) => remote.noise(run, seeds, 0));
    const labels = labelsOf(choice, classes, seeds);
    const samples = seeds.map((seed, n) =>
      drawnInPage(`Seed ${seed}`, { ...solver, ...guidedBy(choice, labels?.[n], runs[run]) }, size)
    );
    const cost = await engine.solve(run, x0, samples, running, { onPart });
    return { trajectories: samples.map(({ view }) => view), cost };
  }

  /** Shows the tools for the current run and sample. */
  #showTools(): void {
    const { live } = this.runs[this.explorer.run];
    const why = typeof live === "string" ? live : undefined;
    byId("live").hidden = byId("paint-tools").hidden = why !== undefined;
    this.#undo.hidden = this.explorer.shown === this.explorer.sample.original;
    if (why !== undefined) {
      this.#paint.putDown();
      this.#say(`This page cannot draw new samples from this model: ${why}.`);
    } else if (this.#why !== undefined) this.#say(this.#where);
    this.#why = why;
    if (why === undefined) this.#showCondition(this.explorer.run);
  }

  #showCondition(run: number): void {
    if (run === this.#conditionOf) return;
    this.#conditionOf = run;
    const { guidance = this.#network(run)?.early?.guidance } = this.explorer.recorded(run) ?? {};
    const { classNames = [] } = this.runs[run];
    this.#solver.offerMap(this.runs[run].isFlowMap === true);
    this.engine.classes(run).then((length) => {
      if (run !== this.#conditionOf) return;
      const classes = Array.from({ length }, (_, c) => classNames[c] ?? `${c}`);
      this.#condition.show(classes, guidance, this.runs[run]);
    }).catch((error) => this.#say(`Error: ${messageOf(error)}`));
  }

  #network(run: number): LiveNetwork | undefined {
    const { live } = this.runs[run];
    return typeof live === "string" ? undefined : live;
  }

  #say(text: string): void {
    this.#text.textContent = text;
  }
}
