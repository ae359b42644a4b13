/** Starts a run from the weights of another network: decides what it takes over, and what is initialised. */

import { dirname } from "node:path";
import { planMemory, type Tensor } from "../../kernels/mod.ts";
import {
  blankInitialiser,
  createModel,
  type Model,
  type ModelOptions,
  namedParameters,
  StateError,
} from "../../models/mod.ts";
import { checkState } from "../../models/nn/module.ts";
import type { ImageSource } from "../data/image_source.ts";
import { chosenNetwork, moduleError } from "../networks/own_network.ts";
import { sha256 } from "../run/run_folder.ts";
import { readGivenWeights } from "../run/weights.ts";
import { ConfigError } from "../cli/settings.ts";
import { networkOfWeights } from "../settings/decide.ts";
import { fieldsOfRun, type RunConfig, type Start } from "../settings/run_config.ts";
import type { WeightsChoice } from "../settings/network.ts";
import { readRecord } from "../tracking/record.ts";
import { modelOptions } from "./network.ts";

/** The weights that a run starts from, as far as they fit its network. */
export interface InitialWeights {
  /** Where the run starts, with the digest of the file. */
  readonly start: Start;
  /** Writes the weights that the network takes over. */
  readonly write: (model: Model) => void;
  /** What is taken over, and what is initialised, as messages for the user. */
  readonly lines: readonly string[];
}

/** Reads the weights that a new run starts from. Its `conditional` has been decided. */
export async function readInitialWeights(
  config: RunConfig,
  start: WeightsChoice,
  { shape, classes }: Pick<ImageSource, "shape" | "classes">,
  data: { readonly classNames?: readonly string[] | undefined },
): Promise<InitialWeights> {
  const { source, sha256: expected } = start;
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
  networkOfWeights(fieldsOfRun(config), start, weights); // a repeated run may start from others
  const { config: stored, imageSize } = info;
  const before = stored.classes;
  const trained = [stored.type === "own" ? stored.shape[0] : stored.channels, ...imageSize] as const;
  const options = (size: ImageSource["shape"], classes: number) => modelOptions(config, size, classes);
  try {
    inspect(options(trained, before), (parameters) => checkState(parameters, tensors, path));
  } catch (error) {
    const own = chosenNetwork(config.model);
    if (!own || error instanceof StateError) throw error;
    throw moduleError(own.file, `making the network of ${path}: `, error);
  }
  const needed = shapesOf(options(shape, classes));
  const renamed = before === classes && classes > 0 && !await hasClasses(path, classes, data.classNames);
  const few = shapesOf(options(trained, before));
  const more = shapesOf(options(trained, before + 1));
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
  const resized = fresh.filter((name) => !labels.includes(name));
  const unused = [...few.keys()].filter((name) => !needed.has(name));
  const listed = (names: readonly string[], why: string) =>
    names.length > 0 ? [`${names.join(", ")} (${why})`] : [];
  const initialised = [
    ...listed(resized, `images of ${shape.join(" x ")}, not ${trained.join(" x ")}`),
    ...listed(labels, `${renamed ? "other" : `${classes}, not ${before}`} classes`),
    config.ema > 0 ? "optimizer, schedule and averaged weights" : "optimizer and schedule",
  ];
  const leftOut = listed(unused, "no classes").map((names) => `, without ${names}`).join("");
  return {
    start: { kind: "weights", source, sha256: digest },
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

/** Looks at a network's parameters without allocating them. */
function inspect<T>(options: ModelOptions, look: (parameters: ReadonlyMap<string, Tensor>) => T): T {
  let found!: T;
  planMemory(() => {
    found = look(namedParameters(createModel(options, blankInitialiser)));
  });
  return found;
}

/** The shapes of a network's parameters, as text. */
function shapesOf(options: ModelOptions): ReadonlyMap<string, string> {
  return inspect(options, (found) => new Map(Array.from(found, ([name, { shape }]) => [name, `${shape}`])));
}

/** Whether the run of the weights has learned these classes, as far as is known. */
async function hasClasses(path: string, count: number, names: readonly string[] | undefined) {
  const record = await readRecord(dirname(path)) ?? await readRecord(dirname(dirname(path)));
  if (!record?.dataset) return true;
  const numbers = Array.from({ length: count }, (_, label) => `${label}`);
  return `${record.dataset.classNames ?? numbers}` === `${names ?? numbers}`;
}
