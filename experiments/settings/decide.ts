/** Decides the settings of a run: the given ones, and those that follow from a preset, from weights or from a run. */

import { basename, dirname, join, resolve } from "node:path";
import { type CheckpointInfo, type CompleteOptions, type ModelName, modelNameOf } from "../../models/mod.ts";
import { asText, ConfigError, flagOf, type Rows } from "../cli/settings.ts";
import { runFile } from "../run/files.ts";
import { findContained } from "../run/run_folder.ts";
import { type GivenWeights, readGivenWeights, teacherInfo } from "../run/weights.ts";
import { configPath } from "./config_file.ts";
import { normalizationTo, pixelRanges } from "./data.ts";
import { usualDistillation } from "./distillation.ts";
import { type ModuleChoice, type NetworkChoice, type WeightsChoice, writeNetwork } from "./network.ts";
import { type Preset, type PresetName, presets, unlabelled, withOptimizer } from "./presets.ts";
import { ends, type Fields, fields, fieldsOfRun, type RunConfig, runConfig } from "./run_config.ts";
import { plannedStages, type StageSpec } from "./stages.ts";

/** Some settings of a run, before others complete them. */
export type GivenFields = Partial<Fields>;

/**
 * The settings of a new training, completed by a preset, and by the network of the weights that it starts from.
 *
 * @param given at least the network, or weights
 * @param usual the preset if none is given
 * @throws {ConfigError} if a setting is missing, has no effect or contradicts another
 */
export function newTraining(given: GivenFields, usual: PresetName = "quick"): RunConfig {
  const preset = given.preset ?? usual;
  const network = given.init ? networkOfWeights(given, given.init) : {};
  const values = { ...withOptimizer({ ...given, ...network }, presets[preset]), ...network };
  const { model = given.model } = network; // with all its options
  return resolved({ ...given, preset, model }, withEnds(given, withLabels(given, values)));
}

/**
 * The settings that a run takes over with the weights that it starts from.
 *
 * @throws {ConfigError} if a given one contradicts the weights
 * @throws {RunError} if the weights cannot be read
 */
export function networkOfWeights(
  given: GivenFields,
  { source }: WeightsChoice,
  weights: GivenWeights = readGivenWeights(source, "start from"),
): GivenFields {
  const { path: file, info: { config, normalization } } = weights;
  if (config.flowMap) {
    const expected = "expected the network that it was distilled from";
    throw new ConfigError(`Cannot start from ${file}: it is a flow map (${expected})`);
  }
  const network: GivenFields = {
    ...networkOf(config, given.model),
    ...objectiveIn(config),
    normalize: pixelRangeOf(normalization, `start from ${file}`),
  };
  for (const [name, taken] of Object.entries(fields.write(network))) {
    const other = comparable(name, given, network);
    if (other === undefined || asText(other) === asText(taken)) continue;
    const flag = typeof other === "boolean" ? flagOf(name) : `${flagOf(name)} ${other}`;
    const has = typeof taken === "boolean" ? (taken ? "it" : "none") : `${taken}`;
    throw new ConfigError(`Cannot use ${flag} with --init ${source}: its network has ${has} (leave it out)`);
  }
  return network;
}

/**
 * The network of a checkpoint, as settings.
 *
 * @param model the setting `model`, which may name its module
 */
function networkOf(config: CompleteOptions, model: NetworkChoice | undefined) {
  if (config.type === "own") {
    const named = model?.kind === "module" ? model : undefined;
    const stored = Object.entries(config.options).map(([name, value]) => [name, `${value}`]);
    const network: ModuleChoice = {
      kind: "module",
      file: named?.file ?? config.name,
      options: { ...Object.fromEntries(stored), ...named?.options },
    };
    return { model: network };
  }
  const { type, filters, tEmb, attn, groups, timeEmbedding } = config;
  const network: NetworkChoice = { kind: "unet", name: modelNameOf(type) as ModelName };
  return { model: network, filters, tEmb, attn, groups, timeEmbedding };
}

/** The range of pixels that a checkpoint's network was trained on. @param doing for the error: `distil FILE` */
function pixelRangeOf({ scale, shift }: CheckpointInfo["normalization"], doing: string) {
  const range = pixelRanges.find((range) => {
    const pixels = normalizationTo(range);
    return scale === pixels.scale && shift === pixels.shift;
  });
  if (range) return range;
  throw new ConfigError(`Cannot ${doing}: its pixels are neither in -1..1 nor in 0..1`);
}

/** A given setting as it is written, to compare it with that of weights; undefined if it may be any. */
function comparable(name: string, given: GivenFields, { model }: GivenFields): unknown {
  if (name === "path" || name === "prediction") return given[name]?.name; // weights have no numbers of theirs
  const bothOwn = given.model?.kind === "module" && model?.kind === "module";
  if (name === "model" && bothOwn) return undefined; // the given options replace those of the weights
  return Reflect.get(fields.write(given), name);
}

/** The path and the prediction of a checkpoint. */
function objectiveIn(
  { path, prediction }: GivenWeights["info"]["config"],
): Pick<Fields, "path" | "prediction"> {
  return {
    path: fields.rows.path.read!(path),
    prediction: fields.rows.prediction.read!(prediction),
  };
}

/** What a distillation takes over from its teacher, or from its stages. */
const taught = [
  "filters",
  "tEmb",
  "attn",
  "groups",
  "timeEmbedding",
  "path",
  "prediction",
  "normalize",
  "conditional",
  "labelDropout",
  "guidance",
  "times",
  "coupling",
  "valFraction",
  "epochs",
  "maxMinutes",
] as const satisfies readonly (keyof Fields)[];

/**
 * The settings of a new distillation: its teacher determines the network, its stages the length.
 *
 * @param usual the preset if none is given
 * @throws {ConfigError} if a setting contradicts them
 * @throws {RunError} if the teacher cannot be read
 */
export function newDistillation(
  given: GivenFields,
  teacher: string,
  usual: PresetName = "quick",
): RunConfig {
  const preset = given.preset ?? usual;
  const decided = taughtBy(teacher, given);
  const defaults = withOptimizer(decided, { ...presets[preset], ...usualDistillation });
  return resolved({ ...given, teacher, preset, model: decided.model }, { ...defaults, ...decided });
}

function taughtBy(teacher: string, given: GivenFields) {
  const refuse = (what: string, why: string) => new ConfigError(`Cannot ${what}: ${why}`);
  const fixed = taught.find((name) => given[name] !== undefined);
  if (fixed) throw refuse(`use ${flagOf(fixed)} with ${teacher}`, "the teacher and the stages determine it");
  const { config, normalization } = teacherInfo(teacher);
  const { classes } = config;
  const network = networkOf(config, given.model);
  const { model = network.model } = given;
  const bothOwn = model.kind === "module" && network.model.kind === "module";
  if (!bothOwn && writeNetwork(model) !== writeNetwork(network.model)) {
    const why = `it is a ${writeNetwork(network.model)} network`;
    throw refuse(`distil ${teacher} with --model ${writeNetwork(model)}`, why);
  }
  if (config.type !== "own" && config.maxGuidance > 1) {
    const why = "it takes guidance as an input (expected the network that it was distilled from)";
    throw refuse(`distil ${teacher}`, why);
  }
  const isGuided = classes > 0 && !config.flowMap;
  const guiding = (["teacherGuidance", "maxGuidance"] as const).find((name) => (given[name] ?? 1) !== 1);
  if (guiding && !isGuided) {
    const why = `its network ${classes === 0 ? "was trained without classes" : "has learned its guidance"}`;
    throw refuse(`use ${flagOf(guiding)} ${given[guiding]} with ${teacher}`, `${why} (leave it out)`);
  }
  const { batchSize = usualDistillation.batchSize, maxGuidance = 1 } = given;
  const stages = given.stages ?? usualDistillation.stages;
  const guidance = Math.min(maxGuidance, presets.quick.guidance);
  return {
    ...network,
    ...objectiveIn(config),
    normalize: pixelRangeOf(normalization, `distil ${teacher}`),
    ...(maxGuidance > 1 ? { guidance, teacherGuidance: guidance } : {}),
    conditional: classes > 0,
    epochs: 0,
    maxMinutes: 0,
    maxSteps: stepsOfStages(stages, batchSize, maxGuidance, given.maxSteps),
  };
}

/**
 * The length of a distillation.
 *
 * @throws {ConfigError} if a stage has fewer pairs than a batch, or cannot teach guidance as an input
 */
function stepsOfStages(
  stages: readonly StageSpec[],
  batchSize: number,
  maxGuidance: number,
  total?: number,
): number {
  const planned = plannedStages(stages, batchSize, total);
  const fixed = planned.find(({ name }) => name !== "mean");
  if (maxGuidance > 1 && fixed) {
    throw new ConfigError(
      `Cannot use --max-guidance ${maxGuidance} with the stage ${fixed.name}: it learns only one guidance ` +
        "(expected --stages mean)",
    );
  }
  const few = planned.find(({ settings: { count = batchSize } }) => count < batchSize);
  if (few) {
    const given = `${few.settings.count} pairs and batches of ${batchSize}`;
    throw new ConfigError(`Cannot use --stages with ${given} (expected pairs for at least one batch)`);
  }
  const { from, steps } = planned.at(-1)!;
  return from + steps;
}

/** The settings that a resumed run may change; it keeps all others. */
const resumable = Object.entries<Rows[string]>(fields.rows).filter(([, row]) => row.resumable)
  .map(([name]) => name);

/**
 * The settings of a run that goes on: its own, and the few that it may change.
 *
 * @param run its folder
 * @param saved its settings so far
 * @throws {ConfigError} if another setting is given
 */
export function resumedRun(given: GivenFields, run: string, saved: RunConfig): RunConfig {
  const allowed: readonly string[] = ["resume", "model", ...resumable];
  const refused = Object.keys(given).find((name) => !allowed.includes(name));
  if (refused !== undefined) {
    throw new ConfigError(
      `Cannot use ${flagOf(refused)} with --resume: the run keeps its settings, ` +
        `except ${resumable.map(flagOf).join(", ")}`,
    );
  }
  const lengthened = saved.distillation && ends.find((name) => given[name] !== undefined);
  if (lengthened) {
    throw new ConfigError(
      `Cannot use ${flagOf(lengthened)} with --resume ${run}: the stages of a distillation decide its length`,
    );
  }
  if (given.model !== undefined && !isSameNetwork(given.model, saved.model)) {
    throw new ConfigError(
      `Cannot resume ${run} with --model ${writeNetwork(given.model)}: ` +
        `it trains the ${writeNetwork(saved.model)} model`,
    );
  }
  // A server named in the folder gets no credentials; see `trackingOf`.
  const values = { ...withEnds(given, withRate(given, fieldsOfRun(saved))), mlflow: null };
  const config = resolved({ ...given, model: movedTo(given.model, saved.model, run) }, values);
  return { ...config, start: { kind: "resume", run, earlier: saved, setsRate: given.lr !== undefined } };
}

/** Whether a network may be that of a run; options that are left out may be any. */
function isSameNetwork(given: NetworkChoice, saved: NetworkChoice): boolean {
  if (given.kind === "unet" || saved.kind === "unet") return writeNetwork(given) === writeNetwork(saved);
  return Object.entries(given.options).every(([name, value]) => saved.options[name] === value);
}

/** The network of a run, with its module at another place if one is given that is not the run's own copy. */
function movedTo(given: NetworkChoice | undefined, saved: NetworkChoice, run: string): NetworkChoice {
  if (given?.kind !== "module" || saved.kind !== "module") return saved;
  return resolve(given.file) === resolve(run, runFile.network) ? saved : { ...saved, file: given.file };
}

/** Changes the learning rate of a resumed run. `--lr` alone is a constant rate, without a second warm-up. */
function withRate({ lr, schedule: given }: GivenFields, saved: Fields): Fields {
  if (lr === undefined && given === undefined) return saved;
  const schedule = given ?? "constant";
  const warmUp = schedule === "constant" ? 0 : saved.warmUp;
  return { ...saved, schedule, warmUp };
}

/**
 * The settings that repeat an earlier run: given ones replace its own. The new run has a folder, a name and a place on a
 * server of its own.
 *
 * @param source the run's folder or its `config.json`; the copy of its teacher lies next to it
 * @param earlier its settings
 */
export function repeatedRun({ ...given }: GivenFields, source: string, earlier: RunConfig): RunConfig {
  const saved: Fields = {
    ...fieldsOfRun(earlier),
    name: null,
    out: null,
    runName: null,
    mlflow: null,
    resume: null,
    // The length of a run that was stopped before its minutes were over was not fixed yet.
    replans: earlier.length.minutes > 0 ? null : fieldsOfRun(earlier).replans,
  };
  const own = sameModule(given.model, saved.model);
  if (own) given.model = own;
  const isOther = given.model !== undefined && !own &&
    writeNetwork(given.model) !== writeNetwork(saved.model);
  const refuse = (name: keyof Fields) =>
    new ConfigError(
      `Cannot use ${flagOf(name)} with --config ${source}: that run determines it (leave it out)`,
    );
  const always = (["preset", "teacher", "maxGuidance"] as const).find((name) => given[name] !== undefined);
  if (always) throw refuse(always);
  if (saved.teacher !== null) {
    const fixed = taught.find((name) => given[name] !== undefined);
    if (fixed) throw refuse(fixed);
    if (isOther) throw refuse("model");
    return repeatedDistillation(given, {
      ...saved,
      teacher: teacherBeside(configPath(source)) ?? saved.teacher,
    });
  }
  const { model } = saved;
  const values = isOther || given.filters ? withOptimizer({ model, ...given }, saved) : saved;
  return resolved(given, withEnds(given, withLabels(given, values)));
}

function repeatedDistillation(given: GivenFields, saved: Fields): RunConfig {
  const { stages, batchSize, maxGuidance } = { ...saved, ...given };
  const isSame = given.stages === undefined && given.batchSize === undefined;
  const total = given.maxSteps ?? (isSame ? saved.maxSteps : undefined);
  const maxSteps = stepsOfStages(stages!, batchSize, maxGuidance, total);
  return resolved({ ...given, maxSteps }, saved);
}

/** The copy of a teacher in a run's folder. */
function teacherBeside(config: string): string | undefined {
  const copy = join(dirname(config), runFile.teacher);
  return findContained(copy) === undefined ? undefined : copy;
}

/** The network of a run by a module of the same name, which may have changed: with the options of both. */
function sameModule(given: NetworkChoice | undefined, saved: NetworkChoice): NetworkChoice | undefined {
  if (given?.kind !== "module" || saved.kind !== "module") return undefined;
  if (basename(given.file) !== basename(saved.file)) return undefined;
  return { kind: "module", file: given.file, options: { ...saved.options, ...given.options } };
}

/** Turns labels on if guidance or label dropout is given, unless labels are turned off. */
function withLabels<Some extends GivenFields>(given: GivenFields, values: Some): Some {
  if (given.conditional === false) return { ...values, guidance: unlabelled(values.guidance) };
  const needsLabels = given.guidance !== undefined || given.labelDropout !== undefined;
  return needsLabels && values.conditional === "auto" ? { ...values, conditional: true } : values;
}

/** Drops the other limits of a run if one is given. */
function withEnds<Some extends GivenFields>(given: GivenFields, values: Some): Some {
  if (ends.every((name) => given[name] === undefined)) return values;
  return { ...values, epochs: 0, maxSteps: 0, maxMinutes: 0, replans: null };
}

/** A run's settings. `--lr` moves muon's rate as well, in the same ratio, unless that has a value of its own. */
function resolved(given: GivenFields, defaults: GivenFields & Partial<Preset>): RunConfig {
  const isMuon = (given.optimizer ?? defaults.optimizer) === "muon";
  if (!isMuon || !given.lr || !defaults.lr || given.muonLr !== undefined) {
    return runConfig(fields.resolve(given, defaults));
  }
  const { muonLr = fields.rows.muonLr.default! } = defaults;
  return runConfig(fields.resolve(given, { ...defaults, muonLr: muonLr * given.lr / defaults.lr }));
}
