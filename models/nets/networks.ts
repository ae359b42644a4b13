import { planMemory } from "../../kernels/mod.ts";
import { refuse } from "../../kernels/core/checks.ts";
import { type ImageEncoder, pathOf, trainedShapes, type VelocityField } from "../flow/field.ts";
import {
  flowMatching,
  type Objective,
  predicting,
  predictions,
  velocityPrediction,
} from "../flow/objective.ts";
import { paths } from "../flow/path.ts";
import { checkName, rejectUnknown } from "../names.ts";
import { flatten } from "../nn/flat_parameters.ts";
import { blankInitialiser, type Initialiser, randomInitialiser } from "../nn/initialiser.ts";
import { type Module, namedParameters } from "../nn/module.ts";
import {
  type CompleteOwnOptions,
  completeOwnOptions,
  completeUNetOptions,
  makeOwn,
  optionNames,
  type OwnModelOptions,
  type UNetOptions,
} from "./options.ts";
import { ResidualUNet, UNet } from "./unet.ts";

/** Name of a network in checkpoints. */
export type ModelType = "UNet_FM" | "UNet_FM_Residuals";

/** Short name of a network, as in command-line flags. */
export type ModelName = "residual" | "base";

const networks = {
  UNet_FM_Residuals: { name: "residual", make: ResidualUNet },
  UNet_FM: { name: "base", make: UNet },
} as const satisfies Record<ModelType, { readonly name: ModelName; readonly make: unknown }>;

/** All names of networks in checkpoints. */
export const modelTypes: readonly ModelType[] = Object.keys(networks) as ModelType[];

/** All short names of networks. */
export const modelNames: readonly ModelName[] = modelTypes.map((type) => networks[type].name);

/** The short name of a network type, or the type itself if it is unknown. */
export function modelNameOf(type: string): string {
  return Object.hasOwn(networks, type) ? networks[type as ModelType].name : type;
}

/** The network with a short name. */
export function modelTypeOf(name: string): ModelType {
  checkName("network", name, modelNames);
  return modelTypes.find((type) => networks[type].name === name)!;
}

/**
 * Type and size of a U-Net. By default `channels` is 1, `attn` false, `groups` 8, `classes` 0, `timeEmbedding`
 * scalar, `path` linear and `prediction` velocity.
 */
export type UNetModelOptions =
  & { readonly type: ModelType }
  & Pick<UNetOptions, "filters" | "tEmb">
  & Partial<UNetOptions>;

/** Settings of a U-Net, or of a network of your own. */
export type ModelOptions = UNetModelOptions | OwnModelOptions;

/** Settings of a network with all defaults. */
export type CompleteOptions = Required<UNetModelOptions> | CompleteOwnOptions;

/** A network that predicts a velocity. */
export type Model = Module & VelocityField & Partial<ImageEncoder>;

const settings = new WeakMap<VelocityField, CompleteOptions>();

/** The settings passed to `createModel`; undefined for other models. */
export function optionsOf(model: VelocityField): CompleteOptions | undefined {
  return settings.get(model);
}

/** The number of classes of a network, 0 if it takes no labels. */
export function classesOf(model: VelocityField): number {
  const { classes } = settings.get(model) ?? model;
  return typeof classes === "number" ? classes : 0; // a layer may have that name
}

/** The label that means "none": the number of classes. */
export function noneOf(model: VelocityField): number {
  const classes = classesOf(model);
  if (classes > 0) return classes;
  refuse(TypeError, "drop labels or guide: the network has no classes", "one made with `classes`");
}

/** Fills in the defaults of settings. */
export function completeOptions(options: ModelOptions): CompleteOptions {
  const complete = options?.type === "own" ? completeOwnOptions(options) : completeUNetModel(options);
  if (complete.flowMap && complete.prediction !== "velocity") {
    refuse(TypeError, `make a flow map that predicts ${complete.prediction}`, "the prediction velocity");
  }
  return complete;
}

function completeUNetModel(options: UNetModelOptions): Required<UNetModelOptions> {
  rejectUnknown(options, optionNames, "a network");
  const { type, ...rest } = options;
  checkName("network", type, modelTypes);
  const complete = completeUNetOptions(rest);
  const { maxGuidance, flowMap, classes } = complete;
  if (maxGuidance > 1 && !(flowMap && classes > 0)) {
    const what = flowMap ? "one without classes" : "not a flow map";
    const expected = "flowMap and classes, or maxGuidance 1";
    refuse(TypeError, `make a network with guidance up to ${maxGuidance}: it is ${what}`, expected);
  }
  return { type, ...complete };
}

/**
 * Creates a network on the current device, initialised as in PyTorch. Its `shape` is [C, 28, 28] until training or
 * loading sets another one.
 *
 * With the type `own` it is made by the class or function `make`, from its options and the size of the images; its
 * layers are initialised by the seed.
 *
 * @param seed integer in [0, 2^32) or an initialiser; by default 46020
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
export function createModel(options: ModelOptions, seed: number | Initialiser = 46020): Model {
  const complete = completeOptions(options);
  const initialiser = typeof seed === "object" ? seed : randomInitialiser(seed);
  const model: Model = complete.type === "own"
    ? makeOwn(complete, initialiser)
    : new networks[complete.type].make(complete, initialiser);
  flatten(namedParameters(model));
  settings.set(model, complete);
  const byDefault = complete.type === "own" ? complete.shape : [complete.channels, 28, 28];
  Object.defineProperty(model, "shape", {
    get: () => trainedShapes.get(model) ?? byDefault,
  });
  if (complete.path === "linear" && complete.prediction === "velocity") return model; // trains on any path
  const path = paths[complete.path].make();
  Object.defineProperty(model, "path", { value: path });
  if (complete.prediction === "velocity") return model;
  const network = { velocity: model.velocity.bind(model) };
  const prediction = predictions[complete.prediction].make();
  return Object.defineProperty(model, "velocity", { value: predicting(network, prediction, path).velocity });
}

/** Number of parameters of a network; allocates nothing. */
export function countParameters(options: ModelOptions): number {
  let count = 0;
  planMemory(() => { // a trace allocates nothing
    const parameters = namedParameters(createModel(options, blankInitialiser));
    for (const { size } of parameters.values()) count += size;
  });
  return count;
}

/** Flow matching on the path of a field; by default the straight one. */
export function objectiveFor(field: VelocityField): Objective {
  const path = pathOf(field);
  return path ? { ...flowMatching, path } : flowMatching;
}

/** Refuses an objective with another path than a field, or one that would convert its outputs a second time. */
export function checkObjective(
  field: VelocityField,
  { path, prediction }: Pick<Objective, "path" | "prediction">,
): void {
  const own = pathOf(field);
  if (own && own !== path) {
    const name = Object.entries(paths).find(([, { make }]) => make() === own)?.[0] ?? "that it names";
    refuse(TypeError, `train: the network was created for the path ${name}`, "it as objective.path");
  }
  const options = optionsOf(field);
  if (!options || options.prediction === "velocity" || prediction === velocityPrediction) return;
  const why = `the network already converts its ${options.prediction} to a velocity`;
  refuse(TypeError, `train: ${why}`, "velocityPrediction");
}
