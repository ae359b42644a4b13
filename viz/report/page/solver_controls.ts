/// <reference lib="dom" />
import type { Steps } from "./course.ts";
import { byId, element } from "./dom.ts";
import { NumberField } from "./number_field.ts";

/** What a reader can choose from, by name. */
export interface SolverOffers {
  readonly fixed: readonly string[];
  readonly adaptive: readonly string[];
  /** The first is that of equal steps. */
  readonly grids: readonly string[];
  gridTimes(steps: number, grid: string): readonly number[];
}

/** Snapshots of a solver that chooses its own steps lie this many parts apart. */
const parts = 20;
/** Ends the value of an option of a solver that chooses its own steps. */
const own = ":own";

/** The controls by which a reader chooses how flows are solved: some are only there where they have an effect. */
export class SolverControls {
  readonly #solver = byId<HTMLSelectElement>("live-solver");
  readonly #steps: NumberField;
  readonly #grid = byId<HTMLSelectElement>("live-times");
  readonly #tolerance = byId<HTMLSelectElement>("live-tolerance");

  /** @param onEnter called when its reader presses Enter in a field */
  constructor(readonly offers: SolverOffers, onEnter: () => void) {
    this.#steps = new NumberField("live-steps", "Steps", onEnter);
    const { fixed, adaptive, grids } = offers;
    const add = (select: HTMLSelectElement, value: string, text = value) =>
      select.append(element("option", { value, text }));
    for (const name of fixed) add(this.#solver, name);
    for (const name of adaptive) add(this.#solver, name + own, `${name}, own steps`);
    for (const name of grids) add(this.#grid, name);
    if (fixed.includes("heun")) this.#solver.value = "heun";
    this.#solver.addEventListener("change", () => this.#show());
    this.#show();
  }

  /** What is wrong with what was entered; undefined if nothing is. */
  check(): string | undefined {
    return this.#isOwn ? undefined : this.#steps.check();
  }

  /** What was chosen. */
  get how(): Steps {
    const solver = this.#solver.value;
    if (this.#isOwn) {
      const tolerance = Number(this.#tolerance.value);
      return { solver: solver.slice(0, -own.length), steps: parts, tolerance };
    }
    const [steps, grid] = [this.#steps.value, this.#grid.value];
    const isEven = grid === this.offers.grids[0]; // then a step is drawn again by its number alone
    return { solver, steps, ...!isEven && { times: this.offers.gridTimes(steps, grid) } };
  }

  get #isOwn(): boolean {
    return this.#solver.value.endsWith(own);
  }

  #show(): void {
    for (const id of ["live-steps", "live-times"]) byId(id).closest("label")!.hidden = this.#isOwn;
    this.#tolerance.closest("label")!.hidden = !this.#isOwn;
  }
}
