import { record, type RecordedStep, type Tensor } from "../../kernels/mod.ts";
import { whenRun } from "../../kernels/record/record.ts";
import { pathOf, type VelocityField, velocityOf } from "../flow/field.ts";
import type { Path } from "../flow/path.ts";

/**
 * A velocity field that counts how often it is evaluated. Each evaluation is of a whole batch.
 *
 * A recorded step counts when it runs, not when it is traced: tracing computes nothing, and every replay evaluates the
 * field as often as the trace asked for it.
 *
 * ```ts
 * import { init, multiply, record, tensor } from "../../kernels/mod.ts";
 * import { CountedField } from "../mod.ts";
 *
 * await init({ device: "cpu" });
 * const field = new CountedField({ velocity: (x) => multiply(x, 2) });
 * const x = tensor([1]), t = tensor([0]);
 * const step = record(() => field.velocity(field.velocity(x, t), t));
 * for (let i = 0; i < 10; i++) step.run();
 * console.log(field.evaluations); // 20
 * ```
 */
export class CountedField implements VelocityField {
  readonly #field: VelocityField;
  #evaluations = 0;

  /** Counts the evaluations of a field. */
  constructor(field: VelocityField) {
    this.#field = field;
  }

  /** Whether the field is guided. */
  get guided(): boolean | undefined {
    return this.#field.guided;
  }

  /** The path that the field is for, where it says so. */
  get path(): Path | undefined {
    return pathOf(this.#field);
  }

  /** Evaluations so far. */
  get evaluations(): number {
    return this.#evaluations;
  }

  /**
   * The field's velocity.
   *
   * @throws {TypeError} if the field gives no tensor, or a promise
   * @throws {ShapeError} if the velocity does not have the shape of x
   */
  velocity(x: Tensor, t: Tensor, condition?: Tensor): Tensor {
    whenRun(() => this.#evaluations++);
    return velocityOf(this.#field, x, t, condition);
  }

  /** Records a step, as `record` does, which counts too; of 0.4, where only this counted. */
  record<T>(step: () => T): RecordedStep<T> {
    return record(step);
  }
}
