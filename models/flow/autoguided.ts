import { add, multiply, subtract } from "../../kernels/mod.ts";
import { traitsOf, type VelocityField, velocityOf } from "./field.ts";

/**
 * Guides a field away from a weaker version of itself: v = v_weaker + w (v - v_weaker). Both make the same kind of
 * errors, the weaker one larger ones; w above 1 extrapolates away from them. Needs no labels; an evaluation runs both.
 *
 * @param field the field to guide
 * @param weaker for example the same network after fewer steps
 * @param scale w: 0 is `weaker`, 1 the field itself, more exaggerates the difference
 * @returns a field; where w is 1 its velocity is that of `field`, to the bit
 * @throws {RangeError} if the scale is not finite
 *
 * ```ts
 * import { init } from "../../kernels/mod.ts";
 * import { autoguided, createModel, sample } from "../mod.ts";
 *
 * await init({ device: "cpu" });
 * const [model, earlier] = [1, 2].map((seed) => createModel({ type: "UNet_FM", filters: [2, 4], tEmb: 4 }, seed));
 * const field = autoguided(model, earlier, 2);
 * console.log(sample(field, { count: 3, shape: [1, 4, 4], seed: 1, steps: 2 }).shape); // [3, 1, 4, 4]
 * ```
 * Source: Karras et al. 2024, arXiv:2406.02507
 */
export function autoguided(field: VelocityField, weaker: VelocityField, scale: number): VelocityField {
  if (!Number.isFinite(scale)) {
    throw new RangeError(`Cannot guide with scale ${scale} (expected a finite number)`);
  }
  const traits = traitsOf(field);
  if (scale === 1) return { ...traits, velocity: (x, t, condition) => velocityOf(field, x, t, condition) };
  return {
    ...traits,
    guided: true,
    velocity(x, t, condition) {
      const [strong, weak] = [field, weaker].map((each) => velocityOf(each, x, t, condition));
      return add(weak, multiply(subtract(strong, weak), scale));
    },
  };
}
