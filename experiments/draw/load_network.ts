import { dirname } from "node:path";
import { type Device, init } from "../../kernels/mod.ts";
import { type Checkpoint, decodeSafetensors } from "../../models/mod.ts";
import type { Dataset } from "../data/dataset.ts";
import { loadWeights } from "../networks/own_network.ts";
import { readFile, reasonOf, RunError } from "../run/run_folder.ts";
import { findWeights, isFile, noWeights } from "../run/weights.ts";
import { type NetworkClasses, recordedClassNames } from "./conditioning.ts";
import type { Drawable } from "./samples.ts";
import type { shared } from "../settings/run.ts";
import type { Values } from "../cli/settings.ts";
import { describedNetwork, type NetworkFlags } from "../settings/described_network.ts";
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

/** Opens the network of a command line: a file, or a run for {@linkcode findRun}. */
export async function openNetwork(
  settings: NetworkFlags & Pick<Values<typeof shared>, "device" | "threads"> & {
    readonly checkpoint: string;
  },
): Promise<OpenNetwork> {
  const { path, bytes, run } = await readWeights(settings.checkpoint);
  const device = await init({ device: settings.device, threads: settings.threads });
  const { metadata } = decodeSafetensors(bytes, path);
  const described = describedNetwork(settings, metadata, path);
  const { model, info: { normalization, config }, shape } = await loadWeights(
    bytes,
    path,
    described,
    settings.model,
  );
  const { classes: count = 0 } = config;
  const names = await recordedClassNames(dirname(path), count);
  return { device, path, run, drawable: { model, shape, normalization }, classes: { count, names } };
}

/** Reads the weights that a command line names: a file, or those of a run. */
export async function readWeights(
  checkpoint: string,
): Promise<{ readonly path: string; readonly bytes: Uint8Array; readonly run?: string }> {
  if (isFile(checkpoint)) return { path: checkpoint, bytes: await readCheckpoint(checkpoint) };
  const run = await findRun(checkpoint);
  const weights = findWeights(run);
  if (weights === undefined) throw new RunError(`Cannot draw from ${checkpoint}: ${noWeights}`);
  return { path: weights.path, bytes: await readFile(weights.path, run), run };
}

/** Reads a file of weights. */
export async function readCheckpoint(path: string): Promise<Uint8Array<ArrayBuffer>> {
  return await Deno.readFile(path).catch((error) => {
    throw new RunError(`Cannot read the checkpoint ${path}: ${reasonOf(error)}`);
  });
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
  { shape, classes }: { readonly shape: Checkpoint["shape"]; readonly classes: number },
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
