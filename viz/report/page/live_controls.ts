/// <reference lib="dom" />
import type { PageRun } from "../page_data.ts";
import { byId, element, NumberField } from "./dom.ts";
import type { RemoteEngine } from "./remote_engine.ts";
import type { Steps } from "./trajectory_view.ts";

/** Number of equal intervals between snapshots of an adaptive solver. */
const parts = 20;
/** Suffix of the option value of an adaptive solver. */
const own = ":own";

/** The name of the solver that takes a flow map's steps. */
const map = "map";

/** The solver's controls; those without effect are hidden. */
export class SolverControls {
  readonly #solver = byId<HTMLSelectElement>("live-solver");
  readonly #map = element("option", { value: map, text: map });
  #isMap = false;
  /** The steps of the map while another solver is selected, and vice versa. */
  #otherSteps = 1;
  readonly #steps: NumberField;
  readonly #grid = byId<HTMLSelectElement>("live-times");
  readonly #tolerance = byId<HTMLSelectElement>("live-tolerance");

  /** @param onEnter called on Enter in a field */
  constructor(readonly engine: RemoteEngine, onEnter: () => void) {
    this.#steps = new NumberField("live-steps", "Steps", onEnter);
    const { solvers, adaptiveSolvers, timeGrids } = engine.offered;
    const add = (select: HTMLSelectElement, value: string, text = value) =>
      select.append(element("option", { value, text }));
    for (const name of solvers) add(this.#solver, name);
    for (const name of adaptiveSolvers) add(this.#solver, name + own, `${name}, adaptive steps`);
    for (const name of timeGrids) add(this.#grid, name);
    this.#solver.value = "heun";
    this.#solver.addEventListener("change", () => this.#show());
    this.#show();
  }

  /** Offers the solver `map` for flow maps only, where it is the default. */
  offerMap(isFlowMap: boolean): void {
    if (isFlowMap === this.#map.isConnected) return;
    if (isFlowMap) this.#solver.prepend(this.#map);
    else this.#map.remove();
    if (isFlowMap || this.#isMap) this.#solver.value = isFlowMap ? map : "heun";
    this.#show();
  }

  /** What is wrong with the input; undefined if it is valid. */
  check(): string | undefined {
    return this.#isOwn ? undefined : this.#steps.check();
  }

  async how(): Promise<Steps> {
    const solver = this.#solver.value;
    if (this.#isOwn) {
      const tolerance = Number(this.#tolerance.value);
      return { solver: solver.slice(0, -own.length), steps: parts, tolerance };
    }
    const steps = this.#steps.value;
    const grid = this.#grid.value;
    if (this.#isMap || grid === "uniform") return { solver, steps };
    return { solver, steps, times: await this.engine.call((remote) => remote.gridTimes(steps, grid)) };
  }

  get #isOwn(): boolean {
    return this.#solver.value.endsWith(own);
  }

  #show(): void {
    const isMap = this.#solver.value === map;
    if (isMap !== this.#isMap) {
      [this.#steps.value, this.#otherSteps] = [this.#otherSteps, this.#steps.value];
      this.#isMap = isMap;
    }
    byId("live-steps").closest("label")!.hidden = this.#isOwn;
    byId("live-times").closest("label")!.hidden = this.#isOwn || isMap;
    this.#tolerance.closest("label")!.hidden = !this.#isOwn;
  }
}

/** The selected conditioning: one class, all in turn, or none; and the guidance. */
export interface ChosenCondition {
  readonly label: number | "all" | "none";
  readonly guidance: number;
}

/** The controls for class and guidance, shown for networks with classes or autoguidance. */
export class LiveCondition {
  readonly #class = byId<HTMLSelectElement>("live-class");
  readonly #guidance: NumberField;
  readonly #classPlace = byId("live-class-label");
  readonly #guidancePlace = byId("live-guidance-label");
  readonly #slider = byId<HTMLInputElement>("live-slide");

  /**
   * @param onEnter called on Enter
   * @param onSlide called while the slider moves
   */
  constructor(onEnter: () => void, onSlide: () => void) {
    this.#guidance = new NumberField("live-guidance", "Guidance", onEnter);
    this.#slider.addEventListener("input", () => {
      this.#showValue();
      onSlide();
    });
  }

  /**
   * Shows the controls for a network with classes of these names; without classes and autoguidance they are hidden.
   * A flow map has learned a fixed guidance together with its classes; one that takes guidance as an input has a slider.
   *
   * @param guidance initial value, default 1.5
   */
  show(
    classes: readonly string[],
    guidance: number | undefined,
    { isFlowMap = false, maxGuidance }: Pick<PageRun, "isFlowMap" | "maxGuidance">,
  ): void {
    this.#slidePlace.hidden = maxGuidance === undefined;
    if (maxGuidance !== undefined) {
      this.#slider.max = `${maxGuidance}`;
      this.#slider.value = `${guidance ?? 1.4}`;
      this.#showValue();
    }
    this.#classPlace.hidden = classes.length === 0;
    this.#guidancePlace.hidden = isFlowMap || classes.length === 0 && guidance === undefined;
    const options = classes.map((text, label) => element("option", { value: `${label}`, text }));
    const [all, none] = ["all", "none"].map((value) => element("option", { value, text: value }));
    const shown = classes.length > 0 ? [all, ...options, ...isFlowMap ? [] : [none]] : [none];
    const texts = (of: Iterable<HTMLOptionElement>) => Array.from(of, ({ text }) => text).join("\n");
    if (this.#isHidden || texts(this.#class.options) === texts(shown)) return;
    this.#class.replaceChildren(...shown);
    if (guidance !== undefined && !isFlowMap) this.#guidance.value = guidance;
  }

  /** What is wrong with the input; undefined if it is valid. */
  check(): string | undefined {
    return this.#isHidden ? undefined : this.#guidance.check();
  }

  get choice(): ChosenCondition {
    const { value } = this.#class;
    const label = value === "all" || value === "none" ? value : Number(value);
    const guidance = this.#slidePlace.hidden ? this.#guidance.value : this.#slider.valueAsNumber;
    return { label: this.#isHidden ? "none" : label, guidance };
  }

  get #slidePlace(): HTMLElement {
    return byId("live-slide-label");
  }

  #showValue(): void {
    byId("live-slide-value").textContent = this.#slider.valueAsNumber.toFixed(2);
  }

  get #isHidden(): boolean {
    return [this.#classPlace, this.#guidancePlace].every(({ hidden }) => hidden);
  }
}

/** The class of each seed for a network with `classes` classes; undefined if there are none. */
export function labelsOf(
  { label }: ChosenCondition,
  classes: number,
  seeds: readonly number[],
): number[] | undefined {
  if (classes === 0 || label === "none") return undefined;
  if (label === "all") return seeds.map((seed) => seed % classes);
  return label < classes ? seeds.map(() => label) : undefined;
}

/** The options of a sample: its class and, unless a flow map has it built in, classifier-free guidance; or autoguidance. */
export function guidedBy(
  { guidance }: ChosenCondition,
  label: number | undefined,
  { live, classNames, isFlowMap, maxGuidance }: Pick<
    PageRun,
    "live" | "classNames" | "isFlowMap" | "maxGuidance"
  >,
): Pick<Steps, "label" | "className" | "guidance" | "takesGuidance"> {
  if (label !== undefined) {
    const one = { label, className: classNames?.[label] };
    if (maxGuidance !== undefined) {
      return { ...one, guidance: Math.max(1, Math.min(guidance, maxGuidance)), takesGuidance: true };
    }
    return isFlowMap ? one : { ...one, guidance };
  }
  return typeof live === "object" && live.early ? { guidance } : {};
}

/** The solver for a run: networks other than flow maps replace the steps of a map by Euler steps of the same cost. */
export function solverFor(how: Steps, { isFlowMap }: Pick<PageRun, "isFlowMap">): Steps {
  return how.solver === map && !isFlowMap ? { ...how, solver: "euler" } : how;
}
