import { type Tensor, tensor } from "../../kernels/mod.ts";
import { sizeOf } from "../../kernels/core/shape.ts";
import { alignment, type FlatParameters } from "./flat_parameters.ts";
import type { OptimizerOptions, UpdateRule } from "./update_rule.ts";

/** The parameters that one rule of an optimizer updates, with their moments. */
export class UpdatePart {
  /** Moments by name. */
  readonly moments: ReadonlyMap<string, FlatParameters>;
  readonly #rule: UpdateRule;
  readonly #options: Required<OptimizerOptions>;
  readonly #settings = tensor(new Float32Array(8));
  readonly #updates: readonly ((norm: Tensor, settings: Tensor) => void)[];

  /**
   * Makes the moments, which start at zero.
   *
   * @param names of the parameters
   * @param gradients of all parameters
   */
  constructor(
    rule: UpdateRule,
    names: readonly string[],
    parameters: FlatParameters,
    gradients: FlatParameters,
    options: Required<OptimizerOptions>,
  ) {
    this.#rule = rule;
    this.#options = options;
    this.moments = new Map(rule.moments.map((moment) => [moment, parameters.like(names)]));
    const key = rule.alike && keyWithoutGaps(rule.alike);
    this.#updates = parameters.runs(names, key).map((run) =>
      rule.bind({
        p: parameters.range(run),
        g: gradients.range(run),
        moments: this.moments.values().map((moment) => moment.range(run)).toArray(),
        shape: parameters.views.get(run[0])!.shape,
        count: run.length,
      }, options)
    );
  }

  /** Writes the settings of a step, counted from 1. */
  beforeStep(learningRate: number, step: number): void {
    const values = new Float32Array(8);
    values.set(this.#rule.settings(this.#options, learningRate, step));
    this.#settings.write(values);
  }

  /**
   * Updates the parameters and moments in place, with device ops only. `norm` is the gradient's squared norm, f32[1].
   */
  update(norm: Tensor): void {
    for (const update of this.#updates) update(norm, this.#settings);
  }
}

/** A key that parameters share only if none of them is followed by a gap. */
function keyWithoutGaps(
  alike: NonNullable<UpdateRule["alike"]>,
): NonNullable<Parameters<FlatParameters["runs"]>[1]> {
  return (name, shape) => sizeOf(shape) % alignment === 0 ? alike(shape) : name;
}
