import { normalizationTo } from "../cli/training.ts";
import { dirname } from "node:path";
import { type Device, init } from "../../kernels/mod.ts";
import {
  type Checkpoint,
  type CheckpointInfo,
  decodeSafetensors,
  modelTypeOf,
  paths,
  predictions,
} from "../../models/mod.ts";
import type { ImageSize } from "../../viz/mod.ts";
import type { Dataset } from "../data/dataset.ts";
import { loadWeights } from "../networks/own_network.ts";
import { readFile, reasonOf, RunError } from "../run/run_folder.ts";
import { findWeights, noWeights } from "../run/weights.ts";
import { type NetworkClasses, recordedClassNames } from "./conditioning.ts";
import type { Drawable } from "./samples.ts";
import { ownModel } from "../cli/model_setting.ts";
import type { shared } from "../cli/shared.ts";
import { ConfigError, flagOf, type Values } from "../cli/settings.ts";
import type { NetworkFlags } from "../cli/drawing.ts";
import { variantName } from "../cli/kinds.ts";
import { findRun } from "../tracking/find_run.ts";

/** A network to draw from, on a device of its own. */
export interface OpenNetwork {
  readonly device: Device;
  readonly drawable: Drawable;
  readonly classes: NetworkClasses;
  /** The file of its weights. */
  readonly path: string;
  /** The folder of its run, if the command line names a run. */
  readonly run: string | undefined;
}

/**
 * Opens the network of a command line: a file, or a run for {@linkcode findRun}.
 *
 * @throws {ConfigError} if there is no such file or run, or flags do not describe the network
 */
export async function openNetwork(
  settings: NetworkFlags & Pick<Values<typeof shared>, "device" | "threads"> & {
    readonly checkpoint: string;
  },
): Promise<OpenNetwork> {
  const { path, bytes, run } = await readWeights(settings.checkpoint);
  const device = await init({ device: settings.device, threads: settings.threads });
  const { model, info: { normalization, config }, shape } = await loadNetwork(bytes, path, settings);
  const { classes: count = 0 } = config;
  const names = await recordedClassNames(dirname(path), count);
  return { device, path, run, drawable: { model, shape, normalization }, classes: { count, names } };
}

/** Reads the weights that a command line names: a file, or those of a run. @throws {ConfigError} if there are none */
export async function readWeights(
  checkpoint: string,
): Promise<{ readonly path: string; readonly bytes: Uint8Array; readonly run?: string }> {
  if (isFile(checkpoint)) return { path: checkpoint, bytes: await readCheckpoint(checkpoint) };
  const run = await findRun(checkpoint);
  const weights = findWeights(run);
  if (weights === undefined) throw new RunError(`Cannot draw from ${checkpoint}: ${noWeights}`);
  return { path: weights.path, bytes: await readFile(weights.path, run), run };
}

/** Reads a file of weights. @throws {RunError} if it cannot be read */
export async function readCheckpoint(path: string): Promise<Uint8Array<ArrayBuffer>> {
  return await Deno.readFile(path).catch((error) => {
    throw new RunError(`Cannot read the checkpoint ${path}: ${reasonOf(error)}`);
  });
}

/** Whether a word names a file; a word with the ending of weights always does. */
export function isFile(word: string): boolean {
  if (word.endsWith(".safetensors")) return true;
  try {
    return Deno.statSync(word).isFile;
  } catch {
    return false;
  }
}

/** Flags of a network that have defaults. */
const optionalFlags = [
  "attn",
  "groups",
  "timeEmbedding",
  "path",
  "prediction",
  "channels",
  "classes",
] as const;

/** Flags that replace a metadata field. */
const flagsFor = {
  config: ["model", "filters", "tEmb", ...optionalFlags],
  normalization: ["normalize"],
  image_size: ["imageSize"],
} as const satisfies Record<string, readonly (keyof NetworkFlags)[]>;

/**
 * Loads a network from a checkpoint, or from a PyTorch state dict with flags that describe the network.
 *
 * @param source name of the file, for errors
 * @throws {ConfigError} if the flags omit what the file does not state, or repeat what it states
 */
async function loadNetwork(
  bytes: Uint8Array,
  source: string,
  flags: NetworkFlags,
): Promise<Checkpoint> {
  const { metadata } = decodeSafetensors(bytes, source);
  const { model } = flags;
  if (ownModel(model)) flags = { ...flags, model: null };
  for (const [field, names] of Object.entries(flagsFor)) {
    const redundant = names.find((name) => flags[name] !== null);
    if (!(field in metadata) || redundant === undefined) continue;
    throw new ConfigError(
      `Cannot use ${flagOf(redundant)} with ${source}: the file itself describes its network (leave it out)`,
    );
  }
  return await loadWeights(bytes, source, {
    ...!("config" in metadata) && { config: configOf(flags, source) },
    ...!("normalization" in metadata) && { normalization: normalizationOf(flags, source) },
    ...flags.imageSize && { imageSize: flags.imageSize },
  }, model);
}

function configOf(flags: NetworkFlags, source: string): CheckpointInfo["config"] {
  const { model, filters, tEmb, path, prediction } = flags;
  if (model === null || filters === null || tEmb === null) {
    const missing = (["model", "filters", "tEmb"] as const).filter((name) => flags[name] === null);
    throw new ConfigError(
      `Cannot draw from ${source}: it does not say which network its weights belong to ` +
        `(missing ${missing.map(flagOf).join(", ")})`,
    );
  }
  const optional = optionalFlags.filter((name) => flags[name] !== null).map((name) => [name, flags[name]]);
  return {
    type: modelTypeOf(model),
    filters,
    tEmb,
    ...Object.fromEntries(optional),
    ...path !== null && { path: variantName(paths, path) },
    ...prediction !== null && { prediction: variantName(predictions, prediction) },
  };
}

function normalizationOf({ normalize }: NetworkFlags, source: string): CheckpointInfo["normalization"] {
  if (normalize !== null) return normalizationTo(normalize);
  throw new ConfigError(
    `Cannot draw from ${source}: it does not say which range of pixels its network was trained on ` +
      `(missing ${flagOf("normalize")})`,
  );
}

/**
 * Checks that a network fits a data set: the same image size, and the same number of classes if the network has any.
 *
 * @param task for the error, such as `evaluate`
 * @param path of the network's file
 */
export function checkFit(
  task: string,
  path: string,
  { shape, classes }: { readonly shape: ImageSize; readonly classes: number },
  data: Pick<Dataset, "name" | "channels" | "height" | "width" | "classes">,
): void {
  const size = [data.channels, data.height, data.width];
  if (`${shape}` !== `${size}`) {
    const [drawn, held] = [shape, size].map((size) => `[${size.join(", ")}]`);
    throw new RunError(
      `Cannot ${task} ${path}: it draws images of ${drawn}, and ${data.name} holds ${held} ` +
        "(expected the same size; see --data)",
    );
  }
  if (classes > 0 && classes !== data.classes) {
    throw new RunError(
      `Cannot ${task} ${path}: its network has ${classes} classes, and ${data.name} has ${data.classes} ` +
        "(expected the same number; see --data)",
    );
  }
}
