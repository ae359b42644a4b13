import { planMemory } from "../../kernels/mod.ts";
import type { VelocityField } from "../flow/field.ts";
import { blankInitialiser, type Initialiser, randomInitialiser } from "../nn/initialiser.ts";
import { type Module, namedParameters } from "../nn/module.ts";
import { rejectUnknown, unknownName } from "../nearest.ts";
import { ResidualUNet } from "./residual_unet.ts";
import { UNet, type UNetOptions } from "./unet.ts";

/** Name of a network. */
export type ModelType = "UNet_FM" | "UNet_FM_Residuals";

/** The networks by the name that checkpoints give them. */
const networks = { UNet_FM: UNet, UNet_FM_Residuals: ResidualUNet } satisfies Record<ModelType, unknown>;

/** All names of networks. */
export const modelTypes: readonly ModelType[] = Object.keys(networks) as ModelType[];

/** Which network, and its size; `channels` is 1, `attn` false and `groups` 8 unless given. */
export type ModelOptions =
  & { readonly type: ModelType }
  & Pick<UNetOptions, "filters" | "tEmb">
  & Partial<UNetOptions>;

/** A network that gives a velocity. */
export type Model = Module & VelocityField;

const names = ["type", "filters", "tEmb", "channels", "attn", "groups"];

/**
 * Checks a network's settings and fills in the defaults.
 *
 * @throws {TypeError} if a setting is unknown or has an impossible value
 */
export function completeOptions(options: ModelOptions): Required<ModelOptions> {
  rejectUnknown(options, names, "a network");
  const complete = { channels: 1, attn: false, groups: 8, ...options };
  const { type, filters, tEmb, channels, attn, groups } = complete;
  if (!Object.hasOwn(networks, type)) {
    throw new TypeError(unknownName("network", String(type), modelTypes));
  }
  if (!Array.isArray(filters) || filters.length === 0) {
    throw new TypeError(
      `Cannot make a network: filters is ${JSON.stringify(filters)} (expected a list of at least one)`,
    );
  }
  const counts = {
    ...Object.fromEntries(filters.map((width, i) => [`filters[${i}]`, width])),
    tEmb,
    channels,
    groups,
  };
  for (const [name, value] of Object.entries(counts)) {
    if (Number.isInteger(value) && value > 0) continue;
    throw new TypeError(`Cannot make a network: ${name} is ${value} (expected a positive integer)`);
  }
  if (typeof attn !== "boolean") {
    throw new TypeError(`Cannot make a network: attn is ${attn} (expected true or false)`);
  }
  return complete;
}

/**
 * Makes a network on the device in use, initialised as PyTorch does.
 *
 * @param seed integer in [0, 2^32), or what makes the parameters
 * @throws {TypeError} if a setting is unknown or has an impossible value
 * @throws {ShapeError} if a level's filters do not divide into the groups
 * @throws {RangeError} if the seed is none
 *
 * ```ts
 * import { init } from "../../kernels/mod.ts";
 * import { createModel, namedParameters } from "../mod.ts";
 *
 * await init({ device: "cpu" });
 * const model = createModel({ type: "UNet_FM", filters: [4, 8], tEmb: 8 }, 46020);
 * console.log(namedParameters(model).get("downs.0.weight")?.shape); // [4, 1, 3, 3]
 * ```
 */
export function createModel(options: ModelOptions, seed: number | Initialiser): Model {
  const complete = completeOptions(options);
  return new networks[complete.type](complete, typeof seed === "number" ? randomInitialiser(seed) : seed);
}

/**
 * Number of parameters that a network has, without making it.
 *
 * @throws {TypeError} if a setting is unknown or has an impossible value
 * @throws {ShapeError} if a level's filters do not divide into the groups
 * @throws {DeviceError} before `init()`
 */
export function countParameters(options: ModelOptions): number {
  let count = 0;
  planMemory(() => { // inside a trace nothing is allocated
    const parameters = namedParameters(createModel(options, blankInitialiser));
    count = parameters.values().reduce((sum, { size }) => sum + size, 0);
  });
  return count;
}
