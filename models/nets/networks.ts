import { planMemory } from "../../kernels/mod.ts";
import type { VelocityField } from "../flow/field.ts";
import { blankInitialiser, type Initialiser, randomInitialiser } from "../nn/initialiser.ts";
import { type Module, namedParameters } from "../nn/module.ts";
import { unknownName } from "../nearest.ts";
import { completeUNetOptions, type UNetOptions } from "./options.ts";
import { ResidualUNet } from "./residual_unet.ts";
import { UNet } from "./unet.ts";

/** Name of a network as checkpoints have it. */
export type ModelType = "UNet_FM" | "UNet_FM_Residuals";

/** The networks by the name that checkpoints give them, with the one that people use. */
const networks = {
  UNet_FM_Residuals: { name: "residual", make: ResidualUNet },
  UNet_FM: { name: "base", make: UNet },
} as const satisfies Record<ModelType, unknown>;

/** All names of networks as checkpoints have them. */
export const modelTypes: readonly ModelType[] = Object.keys(networks) as ModelType[];

/** Short name of a network, for people. */
export type ModelName = typeof networks[ModelType]["name"];

/** All short names of networks. */
export const modelNames: readonly ModelName[] = modelTypes.map((type) => networks[type].name);

/** The short name of a network; the type itself if there is no such network. */
export function modelNameOf(type: string): string {
  return Object.hasOwn(networks, type) ? networks[type as ModelType].name : type;
}

/**
 * The network of a short name.
 *
 * @throws {TypeError} if there is none
 */
export function modelTypeOf(name: string): ModelType {
  const type = modelTypes.find((type) => networks[type].name === name);
  if (type) return type;
  throw new TypeError(unknownName("network", name, modelNames));
}

/** Which network, and its size; `channels` is 1, `attn` false and `groups` 8 unless given. */
export type ModelOptions =
  & { readonly type: ModelType }
  & Pick<UNetOptions, "filters" | "tEmb">
  & Partial<UNetOptions>;

/** A network that gives a velocity. */
export type Model = Module & VelocityField;

/**
 * Checks a network's settings and fills in the defaults.
 *
 * @throws {TypeError} if a setting is unknown or has an impossible value
 */
export function completeOptions(options: ModelOptions): Required<ModelOptions> {
  const { type, ...rest } = options;
  if (!Object.hasOwn(networks, type)) throw new TypeError(unknownName("network", String(type), modelTypes));
  return { type, ...completeUNetOptions(rest) };
}

/**
 * Makes a network on the device in use, initialised as PyTorch does.
 *
 * @param seed integer in [0, 2^32), or what makes the parameters
 * @throws {TypeError} if a setting is unknown or has an impossible value
 * @throws {ShapeError} if a level's filters do not divide into the groups
 * @throws {RangeError} if the seed is not an integer in [0, 2^32)
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
  return new networks[complete.type].make(
    complete,
    typeof seed === "number" ? randomInitialiser(seed) : seed,
  );
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
