import {
  abs,
  add,
  concat,
  divide,
  full,
  greater,
  less,
  multiply,
  reshape,
  slice,
  subtract,
  sum,
  Tensor,
  tensor,
  where,
} from "../../kernels/mod.ts";
import { checkCount, describeValue, maxU32, refuse } from "../../kernels/core/checks.ts";
import { rejectUnknown } from "../names.ts";
import { meanVelocityOf, traitsOf, type VelocityField, velocityOf } from "./field.ts";
import { innerAxes, perRow, rowsAt } from "./path.ts";

/** How a field is guided. */
export interface GuidanceOptions {
  /**
   * w: 0 is unconditional, 1 conditional, more exaggerates the condition. A tensor f32[1], or f32[N] with a scale for
   * each sample, may be overwritten between runs.
   */
  readonly scale: number | Tensor;
  /** The condition that means "none": a label, or one row u32[1, ...] or f32[1, ...]. */
  readonly none: number | Tensor;
  /** First and last time with guidance, by default 0 and 1. Outside, the field is conditional only. */
  readonly interval?: readonly [from: number, to: number];
  /** Use CFG-Zero*: scale the unconditional velocity to fit the conditional one, and set v = 0 for t < 0.04. */
  readonly zeroStar?: boolean;
}

/** CFG-Zero* sets v = 0 below this t. */
const still = 0.04;
/** What CFG-Zero* adds to the squared norm that it divides by. */
const epsilon = 1e-8;

/**
 * Guides a field away from its unconditional velocity: v = v_u + w (v_c - v_u), or v = s v_u + w (v_c - s v_u) with s =
 * <v_c, v_u> / |v_u|^2 for each sample by CFG-Zero*. Both branches run in one batch, so evaluating N samples costs 2 N
 * rows of the network. Without an interval, scales 0 and 1 need one branch only, N rows.
 *
 * A flow map that takes guidance as an input stays one, and needs N rows at any scale from 1 to its `maxGuidance`.
 *
 * @param field a conditional field, also trained with "none"
 * @returns a field that needs a condition; for w = 1, its velocity is exactly that of `field`
 *
 * ```ts
 * import { init, tensor } from "../../kernels/mod.ts";
 * import { createModel, guided, sample } from "../mod.ts";
 *
 * await init({ device: "cpu" });
 * const model = createModel({ type: "UNet_FM", filters: [2, 4], tEmb: 4, classes: 10 }, 46020);
 * const field = guided(model, { scale: 2, none: 10 });
 * const condition = tensor(Uint32Array.of(3, 1, 4));
 * console.log(sample(field, { count: 3, shape: [1, 4, 4], seed: 1, steps: 2, condition }).shape); // [3, 1, 4, 4]
 * ```
 * Source: Ho and Salimans 2022, arXiv:2207.12598; Kynkäänniemi et al. 2024, arXiv:2404.07724 (interval); Fan et al.
 * 2025, arXiv:2503.18886 (CFG-Zero*)
 */
export function guided(field: VelocityField, options: GuidanceOptions): VelocityField {
  const { scale, interval, zeroStar = false } = checked(options);
  const none = typeof options.none === "number" ? tensor(Uint32Array.of(options.none)) : options.none;
  if (scale === 1) return unguided(field, needed);
  if (field.maxGuidance !== undefined) return guidedByInput(field, field.maxGuidance, options);
  if (scale === 0 && !interval && !zeroStar) {
    return unguided(field, (condition) => rowsAt(none, tensor(new Uint32Array(needed(condition).shape[0]))));
  }
  return {
    ...traitsOf(field),
    guided: true,
    velocity(x, t, condition) {
      const N = x.shape[0];
      const axes = innerAxes(x.shape);
      const each = (values: Tensor) => reshape(values, [values.size, ...axes.map(() => 1)]);
      const both = velocityOf(field, concat([x, x], 0), concat([t, t], 0), stacked(needed(condition), none));
      const [vc, vu] = [slice(both, 0, 0, N), slice(both, 0, N, N)];
      const w = each(scaleAt(scale, t, interval));
      const u = zeroStar ? multiply(vu, fitted(vc, vu, axes)) : vu;
      const v = add(u, multiply(w, subtract(vc, u)));
      const moving = zeroStar ? where(each(less(t, still)), 0, v) : v;
      return where(greater(abs(subtract(w, 1)), 0), moving, vc);
    },
  };
}

/** A flow map at a scale that it takes as an input. */
function guidedByInput(
  field: VelocityField,
  max: number,
  { scale, interval, zeroStar }: GuidanceOptions,
): VelocityField {
  if (interval || zeroStar) {
    const what = interval ? "an interval" : "CFG-Zero*";
    refuse(TypeError, `guide with ${what}: the field has learned its guidance (leave it out)`);
  }
  if (typeof scale === "number" && !(scale >= 1 && scale <= max)) {
    const why = `the field has learned scales from 1 to ${max}`;
    refuse(RangeError, `guide with scale ${scale}: ${why}`, "a scale in this range");
  }
  const mean: VelocityField["meanVelocity"] = (x, t, d, condition) =>
    meanVelocityOf(field, x, t, d, needed(condition), multiply(full(t.shape, 1), scale));
  return {
    ...traitsOf(field),
    guided: true,
    velocity: (x, t, condition) => mean(x, t, full(t.shape, 0), condition),
    meanVelocity: mean,
  };
}

/** The field itself under other conditions. A flow map stays one. */
function unguided(field: VelocityField, change: (condition?: Tensor) => Tensor | undefined): VelocityField {
  return {
    ...traitsOf(field),
    velocity: (x, t, condition) => velocityOf(field, x, t, change(condition)),
    ...field.meanVelocity &&
      { meanVelocity: (x, t, d, condition) => meanVelocityOf(field, x, t, d, change(condition)) },
  };
}

function checked(options: GuidanceOptions): GuidanceOptions {
  rejectUnknown(options, ["scale", "none", "interval", "zeroStar"], "guided()");
  const { scale, none, interval } = options;
  if (!(none instanceof Tensor)) checkCount("guide", "none", none, 0, maxU32);
  if (!(scale instanceof Tensor) && !Number.isFinite(scale)) {
    refuse(RangeError, `guide with scale ${describeValue(scale)}`, "a finite number");
  }
  if (interval && !(interval[0] >= 0 && interval[0] <= interval[1] && interval[1] <= 1)) {
    const shown = interval.join(" to ");
    refuse(RangeError, `guide in the interval ${shown}`, "times 0 <= from <= to <= 1");
  }
  return options;
}

function needed(condition: Tensor | undefined): Tensor {
  if (condition) return condition;
  refuse(TypeError, "guide without a condition", "one row per sample");
}

/** w at each time: f32[N], or f32[1] without an interval if all samples have the same. */
function scaleAt(scale: number | Tensor, t: Tensor, interval: GuidanceOptions["interval"]): Tensor {
  const w = scale instanceof Tensor ? reshape(scale, [scale.size]) : tensor(Float32Array.of(scale));
  if (!interval) return w;
  return where(less(t, interval[0]), 1, where(greater(t, interval[1]), 1, w));
}

/** s = <v_c, v_u> / |v_u|^2 for each sample. */
function fitted(vc: Tensor, vu: Tensor, axes: readonly number[]): Tensor {
  const dot = (a: Tensor, b: Tensor) => sum(multiply(a, b), [...axes], true);
  return divide(dot(vc, vu), add(dot(vu, vu), epsilon));
}

/** The N rows of a condition, followed by N rows of "none". */
function stacked(condition: Tensor, none: Tensor): Tensor {
  const N = condition.shape[0];
  const rows = rowsAt(condition, tensor(Uint32Array.from({ length: 2 * N }, (_, i) => i % N)));
  const isGiven = tensor(Uint32Array.from({ length: 2 * N }, (_, i) => i < N ? 1 : 0));
  return where(perRow(isGiven, rows), rows, none);
}

/**
 * Guides a field away from a weaker version of itself: v = v_weaker + w (v - v_weaker). Both make the same kind of
 * error, the weaker one a larger one, so w > 1 extrapolates towards less error. Needs no labels. Each evaluation runs
 * both networks.
 *
 * @param field the field to guide
 * @param weaker the weaker version: for example, the same network after fewer steps
 * @param scale w: 0 is `weaker`, 1 the field itself, more exaggerates the difference
 * @returns a field; for w = 1, its velocity is exactly that of `field`
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
    refuse(RangeError, `guide with scale ${describeValue(scale)}`, "a finite number");
  }
  if (scale === 1) return unguided(field, (condition) => condition);
  return {
    ...traitsOf(field),
    guided: true,
    velocity(x, t, condition) {
      const [strong, weak] = [field, weaker].map((each) => velocityOf(each, x, t, condition));
      return add(weak, multiply(subtract(strong, weak), scale));
    },
  };
}
