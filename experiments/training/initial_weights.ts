/** Starts a run from the weights of another network: decides what it takes over, and what is initialised. */

import { dirname } from "node:path";
import { planMemory } from "../../kernels/mod.ts";
import {
  blankInitialiser,
  createModel,
  type Model,
  type ModelOptions,
  namedParameters,
  type State,
  StateError,
} from "../../models/mod.ts";
import { checkState } from "../../models/nn/state.ts";
import { isFile } from "../draw/load_network.ts";
import type { ImageSize } from "../../viz/mod.ts";
import type { Dataset } from "../data/dataset.ts";
import type { ImageSource } from "../data/image_source.ts";
import { chosenNetwork, moduleError } from "../networks/own_network.ts";
import { sha256 } from "../run/run_folder.ts";
import { readGivenWeights } from "../run/weights.ts";
import { ConfigError } from "../cli/setting.ts";
import { initialNetwork, parseInit } from "../cli/stored_network.ts";
import type { TrainingConfig } from "../cli/training.ts";
import { findRun } from "../tracking/find_run.ts";
import { readRecord } from "../tracking/record.ts";
import { modelOptions } from "./network.ts";

/** The weights that a run starts from, as far as they fit its network. */
export interface InitialWeights {
  /** The setting `init`, with the digest of the file. */
  readonly init: string;
  /** Writes the weights that the network takes over. */
  readonly write: (model: Model) => void;
  /** What is taken over, and what is initialised, as messages for the user. */
  readonly lines: readonly string[];
}

/** The setting `init` with the folder of a run that it names. @throws {ConfigError} if there is no such file or run */
export async function foundInit(init: string): Promise<string> {
  const { source } = parseInit(init);
  return isFile(source) ? init : await findRun(source) + init.slice(source.length);
}

/**
 * Reads the weights that a run starts from.
 *
 * @param config with `conditional` decided
 * @throws {ConfigError} if they are not the weights that the setting names, or none of them fit
 * @throws {StateError} if the program of a custom network has other parameters
 */
export async function readInitialWeights(
  config: TrainingConfig & { readonly init: string },
  { shape, classes }: Pick<ImageSource, "shape" | "classes">,
  data: Pick<Dataset, "classNames">,
): Promise<InitialWeights> {
  const { source, digest: expected } = parseInit(config.init);
  const weights = readGivenWeights(source, "start from");
  const { path, bytes, tensors, info } = weights;
  const digest = await sha256(bytes);
  if (expected !== undefined && expected !== digest) {
    throw new ConfigError(
      `Cannot start from ${path}: these are not the weights that the run began with (SHA-256 ${
        digest.slice(0, 12)
      }..., expected ${expected.slice(0, 12)}...)`,
    );
  }
  initialNetwork(config, config.init, weights); // a repeated run may start from others
  const { config: stored, imageSize } = info;
  const before = stored.classes;
  const trained = [stored.type === "own" ? stored.shape[0] : stored.channels, ...imageSize] as const;
  const options = (size: ImageSize, classes: number) => modelOptions(config, size, classes);
  checkParameters(config, options(trained, before), tensors, path);
  const needed = shapesOf(options(shape, classes));
  const renamed = before === classes && classes > 0 && !await hasClasses(path, classes, data.classNames);
  const [few, more] = [before, before + 1].map((classes) => shapesOf(options(trained, classes)));
  const ofLabels = (name: string) => few.get(name) !== more.get(name);
  const taken = new Map(
    [...needed].flatMap(([name, shape]) => {
      const fits = few.get(name) === shape && !(renamed && ofLabels(name));
      return fits ? [[name, tensors.get(name)!.data] as const] : [];
    }),
  );
  if (taken.size === 0) {
    throw new ConfigError(`Cannot start from ${path}: none of its weights fit the images and classes`);
  }
  const fresh = [...needed.keys()].filter((name) => !taken.has(name));
  const labels = fresh.filter((name) => ofLabels(name) || !few.has(name));
  const unused = [...few.keys()].filter((name) => !needed.has(name));
  const resized = fresh.filter((name) => !labels.includes(name));
  const initialised = [
    ...resized.length > 0
      ? [`${resized.join(", ")} (images of ${shape.join(" x ")}, not ${trained.join(" x ")})`]
      : [],
    ...labels.length > 0
      ? [`${labels.join(", ")} (${renamed ? "other" : `${classes}, not ${before}`} classes)`]
      : [],
    config.ema > 0 ? "optimizer, schedule and averaged weights" : "optimizer and schedule",
  ];
  const leftOut = unused.length > 0 ? `, without ${unused.join(", ")} (no classes)` : "";
  return {
    init: `${source}@sha256:${digest}`,
    write(model) {
      for (const [name, tensor] of namedParameters(model)) {
        const data = taken.get(name);
        if (data) tensor.write(data);
      }
    },
    lines: [
      `Starts from ${path}: ${taken.size} of ${needed.size} tensors${leftOut}`,
      `Newly initialised: ${initialised.join("; ")}`,
    ],
  };
}

/** The shapes of a network's parameters, as text; allocates nothing. */
function shapesOf(options: ModelOptions): ReadonlyMap<string, string> {
  return planned(() => {
    const parameters = namedParameters(createModel(options, blankInitialiser));
    return new Map(Array.from(parameters, ([name, { shape }]) => [name, `${shape}`]));
  });
}

function planned<T>(make: () => T): T {
  let made!: T;
  planMemory(() => {
    made = make();
  });
  return made;
}

/** Checks that a network of the settings, for the images of the weights, has their parameters. */
function checkParameters(config: TrainingConfig, options: ModelOptions, tensors: State, path: string): void {
  try {
    planned(() => checkState(namedParameters(createModel(options, blankInitialiser)), tensors, path));
  } catch (error) {
    const own = chosenNetwork(config.model);
    throw own && !(error instanceof StateError)
      ? moduleError(own.file, `making the network of ${path}: `, error)
      : error;
  }
}

/** Whether the run of the weights has learned these classes, as far as is known. */
async function hasClasses(
  path: string,
  count: number,
  names: readonly string[] | undefined,
): Promise<boolean> {
  const record = await readRecord(dirname(path)) ?? await readRecord(dirname(dirname(path)));
  if (!record?.dataset) return true;
  const numbers = Array.from({ length: count }, (_, label) => `${label}`);
  return `${record.dataset.classNames ?? numbers}` === `${names ?? numbers}`;
}
