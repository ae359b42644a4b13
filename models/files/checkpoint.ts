import { planMemory, type Shape, ShapeError, UserError } from "../../kernels/mod.ts";
import { isCount, refuse } from "../../kernels/core/checks.ts";
import { trainedShapes } from "../flow/field.ts";
import { rejectUnknown } from "../names.ts";
import {
  type CompleteOptions,
  completeOptions,
  createModel,
  type Model,
  type ModelOptions,
  optionsOf,
} from "../nets/networks.ts";
import { type NetworkMaker, readOptions, storedOptions } from "../nets/options.ts";
import { blankInitialiser } from "../nn/initialiser.ts";
import {
  checkFinite,
  checkState,
  loadState,
  namedParameters,
  type State,
  StateError,
  stateOf,
} from "../nn/module.ts";
import { isNormalization, type Normalization } from "./normalization.ts";
import { decodeSafetensors, encodeSafetensors } from "./safetensors.ts";

/** What sampling needs to know about a network. */
export interface CheckpointInfo {
  /** Type and size of the network. */
  readonly config: ModelOptions;
  /** Maps pixels to the network's units. */
  readonly normalization: Normalization;
  /** Height and width of the images that the network was trained on. */
  readonly imageSize: readonly [number, number];
}

/** A network ready to sample from. */
export interface Checkpoint {
  /** The network, on the device that was current when loading. */
  readonly model: Model;
  /** The metadata of the file. */
  readonly info: CheckpointInfo;
  /** [C, H, W] of a sample. */
  readonly shape: readonly [C: number, H: number, W: number];
  /** Values of black and white pixels. */
  readonly range: readonly [black: number, white: number];
}

/** Thrown if a file cannot be loaded as a checkpoint. */
export class CheckpointError extends UserError {
  /** Name of the error. */
  override name = "CheckpointError";
}

/** Values to use for what a file lacks. */
export interface LoadOptions extends Partial<CheckpointInfo> {
  /** The class of a network of your own, or the function that makes it. */
  readonly make?: NetworkMaker | undefined;
}

const VERSION = "1";

const normalizations = new WeakMap<Model, Normalization>();

/**
 * Encodes a network as a safetensors file: weights under their PyTorch names, the rest as metadata. For a module that
 * `createModel` has not made, the config names it: `{ type: "own", name: "Mlp", options: { hidden: 128 } }`.
 *
 * @param info by default, the settings the model was created, trained or loaded with. Unknown fields are left out of
 * the file; `loadCheckpoint` then uses its fallbacks
 * @param weights by default the current weights of the model
 */
export async function saveCheckpoint(
  model: Model,
  info: Partial<CheckpointInfo> = {},
  weights?: State,
): Promise<Uint8Array<ArrayBuffer>> {
  rejectUnknown(info, ["config", "normalization", "imageSize"], "the info of a checkpoint");
  const config = storedConfig(model, info.config);
  const [, H, W] = trainedShapes.get(model) ?? shapeIn(info.config ?? optionsOf(model));
  const { normalization = normalizations.get(model), imageSize = W && [H, W] } = info;
  const written = "the file that saveCheckpoint() would write";
  checkField("normalization", normalization, forms.normalization, written);
  checkField("image_size", imageSize, forms.image_size, written);
  if (weights) checkState(namedParameters(model), weights, written);
  return encodeSafetensors(weights ?? await stateOf(model), {
    format_version: VERSION,
    config,
    ...normalization && { normalization: JSON.stringify(normalization) },
    ...imageSize && { image_size: JSON.stringify(imageSize) },
  });
}

/** The image shape in a config, if it has one. */
function shapeIn(config: ModelOptions | undefined): Shape {
  return config?.type === "own" && config.shape || [];
}

/** A config with its names in checkpoints. */
function storedFields(config: CompleteOptions, model: Model): object {
  if (config.type !== "own") return { type: config.type, ...storedOptions(config) };
  const { type, name, digest, options, classes, flowMap, path, prediction } = config;
  const shape = trainedShapes.get(model) ?? config.shape;
  return {
    type,
    name,
    ...digest && { digest },
    options,
    shape,
    ...storedOptions({ classes, flowMap, path, prediction }),
  };
}

/** The config of a model, as stored in its checkpoint. */
function storedConfig(model: Model, passed: ModelOptions | undefined): string {
  const stored = (config: CompleteOptions) => JSON.stringify(storedFields(config, model));
  const original = optionsOf(model);
  const config = passed ? completeOptions(passed) : original;
  if (!config) {
    const why = "neither createModel() nor loadCheckpoint() made the model; pass its config";
    refuse(TypeError, `save the checkpoint: ${why}`);
  }
  const [own, other] = [stored(original ?? config), stored(config)];
  if (own === other) return own;
  const expected = `${own}, which the model was made with; leave it out`;
  refuse(TypeError, `save the checkpoint: config is ${other}`, expected);
}

/** Contents of a checkpoint file. */
export interface CheckpointFile {
  /** Weights by their PyTorch names. */
  readonly tensors: State;
  /** The metadata. */
  readonly info: CheckpointInfo;
}

/**
 * Reads a checkpoint without creating its network. Needs no device.
 *
 * ```ts
 * import { decodeCheckpoint } from "../mod.ts";
 *
 * const path = "checkpoints/mnist_residual.safetensors";
 * const { info } = decodeCheckpoint(await Deno.readFile(path), path);
 * console.log(info.config.type, info.imageSize); // UNet_FM_Residuals [ 28, 28 ]
 * ```
 *
 * @param bytes the safetensors file
 * @param source name of the file, for messages
 * @param fallback used for fields missing in the file, for example one written by PyTorch; by default pixels in [0, 1]
 * and 28 x 28 images
 */
export function decodeCheckpoint(
  bytes: Uint8Array,
  source: string,
  fallback: Partial<CheckpointInfo> = {},
): CheckpointFile {
  const { tensors, metadata } = decodeSafetensors(bytes, source);
  const { format_version: version = VERSION } = metadata;
  if (version !== VERSION) {
    const why = `its format is ${version} (expected ${VERSION}); use a newer program`;
    refuse(CheckpointError, `load ${source}: ${why}`);
  }
  const field = (name: string) => name in metadata ? parse(metadata[name], name, source) : undefined;
  const config = configOf(field("config"), source) ?? fallback.config;
  if (!config) refuse(CheckpointError, `load ${source}: it does not name its network; pass its config`);
  const info: CheckpointInfo = {
    config: completeOptions(config),
    normalization: checkField("normalization", field("normalization"), forms.normalization, source) ??
      fallback.normalization ?? { scale: 1, shift: 0 },
    imageSize: checkField("image_size", field("image_size"), forms.image_size, source) ??
      fallback.imageSize ?? [28, 28],
  };
  // Check before tracing: each level has weights of its own.
  if (config.type !== "own" && config.filters.length > tensors.size) {
    const has = `${config.filters.length} levels, but the file holds ${tensors.size} tensors`;
    refuse(StateError, `load ${source}: its network has ${has}; does it belong to another network?`);
  }
  checkFinite(tensors, source);
  return { tensors, info };
}

/**
 * Creates the network of a checkpoint on the current device. Arguments and errors as for {@linkcode decodeCheckpoint}.
 *
 * @param options fallbacks, and `make` for a network of your own
 */
export function loadCheckpoint(bytes: Uint8Array, source: string, options: LoadOptions = {}): Checkpoint {
  const { make, ...fallback } = options;
  const { tensors, info } = decodeCheckpoint(bytes, source, fallback);
  const { normalization, imageSize } = info;
  const config = withMaker(info, make, source);
  // A trace allocates nothing, so a file with a wrong config costs no memory.
  planMemory(() => checkState(namedParameters(traced(config, source)), tensors, source));
  const model = createModel(config, blankInitialiser);
  loadState(model, tensors, source);
  normalizations.set(model, normalization);
  const channels = config.type === "own" ? config.shape![0] : config.channels;
  const shape = [channels ?? 1, ...imageSize] as const;
  trainedShapes.set(model, shape);
  const { scale, shift } = normalization;
  return { model, info, shape, range: [shift, scale + shift] };
}

/** The config of a network to make; a network of your own needs its maker. */
function withMaker(
  { config, imageSize }: CheckpointInfo,
  make: NetworkMaker | undefined,
  source: string,
): ModelOptions {
  if (config.type !== "own") return config;
  if (make) return { ...config, make, shape: [config.shape![0], ...imageSize] };
  const why = `its network ${config.name} is not one of the library's`;
  refuse(CheckpointError, `load ${source}: ${why}`, "its class or function as `make`");
}

/** Traces the network of a config. */
function traced(config: ModelOptions, source: string): Model {
  try {
    return createModel(config, blankInitialiser);
  } catch (error) {
    if (!(error instanceof ShapeError || error instanceof RangeError)) throw error;
    refuse(CheckpointError, `load ${source}: its config is invalid: ${error.message}`);
  }
}

function parse(text: string, name: string, source: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    refuse(CheckpointError, `load ${source}: its ${name} is not JSON: ${text.slice(0, 60)}`);
  }
}

function configOf(value: unknown, source: string): ModelOptions | undefined {
  if (value === undefined) return undefined;
  try {
    return completeOptions(readOptions(Object(value)) as unknown as ModelOptions);
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    refuse(CheckpointError, `load ${source}: its config is invalid: ${error.message}`);
  }
}

/** Longest side of an image, in pixels. More would not fit in any device's memory. */
const maxSide = 4096;

/** Expected form of each field except the config. */
const forms = {
  normalization: {
    expected: 'a scale other than 0 and a shift, such as {"scale":2,"shift":-1}',
    fits: isNormalization,
  },
  image_size: {
    expected: `two integers from 1 to ${maxSide}, such as [28,28]`,
    fits: (value: unknown): value is CheckpointInfo["imageSize"] =>
      Array.isArray(value) && value.length === 2 && value.every((side) => isCount(side, 1, maxSide)),
  },
};

function checkField<T>(
  name: string,
  value: unknown,
  { expected, fits }: { readonly expected: string; readonly fits: (value: unknown) => value is T },
  source: string,
): T | undefined {
  if (value === undefined || fits(value)) return value;
  refuse(CheckpointError, `load ${source}: its ${name} is ${JSON.stringify(value)}`, `${expected}`);
}

/**
 * Loads a checkpoint from a file or the web onto the current device.
 *
 * @param source a path or a URL (`https:`, `file:`); in a page, also a relative URL
 * @param options fallbacks for what the file lacks; see {@linkcode loadCheckpoint}
 */
export async function openCheckpoint(
  source: string | URL,
  options: LoadOptions = {},
): Promise<Checkpoint> {
  let bytes: Uint8Array;
  try {
    bytes = await read(source);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    refuse(CheckpointError, `open ${source}: ${reason}`);
  }
  return loadCheckpoint(bytes, String(source), options);
}

async function read(source: string | URL): Promise<Uint8Array> {
  const page = globalThis.location?.href;
  // A single letter before a colon is a Windows drive.
  if (typeof source === "string" && (/^[a-z]:/i.test(source) || !URL.canParse(source, page))) {
    const { readFile } = await import("node:fs/promises");
    return await readFile(source);
  }
  const response = await fetch(new URL(source, page));
  if (!response.ok) throw new Error(`${response.status} ${response.statusText}`);
  return new Uint8Array(await response.arrayBuffer());
}
