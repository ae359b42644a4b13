/** What a stage of a distillation is: its settings, its place in a run, and how a list of stages is written. */

import { chooseVariant, type Options, type Variant, variant } from "../cli/kinds.ts";
import type { Setting } from "../cli/settings.ts";

/** Name of a stage. */
type StageName = "pairs" | "drift" | "mean";

/** A stage with complete settings. */
export interface StageSpec {
  readonly name: StageName;
  readonly settings: Readonly<Record<string, number>>;
}

/** What each stage has: how long it trains, and how fast. */
function stage(
  name: StageName,
  doc: string,
  { images, settings = {} }: { readonly images: number; readonly settings?: Variant<StageSpec>["settings"] },
): Variant<StageSpec> {
  return {
    doc,
    settings: {
      images: { doc: "images to train on", default: images, above: 0, max: 1e9 },
      rate: { doc: "factor of the learning rates", default: 1, above: 0, max: 100 },
      ...settings,
    },
    make: (settings) => ({ name, settings }),
  };
}

/** The stages of a distillation, by name. */
const kinds: Readonly<Record<StageName, Variant<StageSpec>>> = {
  pairs: stage("pairs", "straight lines between noise and the teacher's images", {
    images: 9600,
    settings: {
      count: { doc: "images that the teacher draws", default: 2400, min: 1, max: 1e6 },
      steps: { doc: "Heun steps of each", default: 5, min: 1, max: 1000 },
      whole: { doc: "share that learns the whole line in one step", default: 0.5, min: 0, max: 1 },
    },
  }),
  drift: stage("drift", "generated images drift towards real ones and apart", {
    images: 200_000,
    settings: {
      whole: { doc: "whole steps between two shorter ones", default: 2, min: 0, max: 100 },
      references: { doc: "real images", default: 20_000, min: 1, max: 1e6 },
      others: { doc: "push of other classes; half in shorter steps", default: 0.7, above: 0, max: 1 },
      push: { doc: "extra repulsion, 0.03 = 3 %", default: 0.02, min: 0, max: 1 },
    },
  }),
  mean: stage("mean", "flow map by the mean rule, which can take guidance as an input", { images: 25_600 }),
};

const one = variant(kinds, { doc: "" });
/** Between stages in `config.json` and in plans, where a list of stages is one text. */
const joint = "+";

/**
 * A setting for stages in their order. On a command line the flag is given for each, as `drift:images=64000`; files have
 * `pairs+drift:images=64000`.
 */
export function stagesSetting(
  options: Options<readonly StageSpec[]>,
): Setting<readonly StageSpec[], string | readonly string[]> {
  const problemOf = (text: string) =>
    text.includes(joint)
      ? "each stage has a flag of its own (expected --stages pairs --stages drift)"
      : one.problem!(text);
  const problem = (written: unknown) => {
    if (Array.isArray(written)) return written.map((text) => problemOf(`${text}`)).find(Boolean);
    if (typeof written !== "string") return "expected stages such as drift:images=64000";
    return written.split(joint).map((text) => one.problem!(text)).find(Boolean);
  };
  return {
    ...options,
    hint: "STAGE",
    expected: "stages such as drift:images=64000",
    isList: true,
    details: Object.entries(kinds).map(([name, { doc, settings }]) => {
      const defaults = Object.entries(settings).map(([key, setting]) => `${key}=${setting.default}`);
      return `${name}  ${doc} (${defaults.join(", ")})`;
    }),
    fromText: (text) => [text],
    accepts: (written): written is string | readonly string[] => problem(written) === undefined,
    problem,
    read: readStages,
    write: writeStages,
  };
}

/** Reads stages as a command line or a file has them. */
export function readStages(written: string | readonly string[]): readonly StageSpec[] {
  const texts = typeof written === "string" ? written.split(joint) : written;
  return texts.map((text) => chooseVariant<StageSpec>(kinds, text).value);
}

/** Writes stages with all their settings, so that a run keeps them when defaults change. */
function writeStages(stages: readonly StageSpec[]): string {
  const pairsOf = ({ settings }: StageSpec) => Object.entries(settings).map((pair) => pair.join("="));
  return stages.map((spec) => `${spec.name}:${pairsOf(spec)}`).join(joint);
}

/** A stage of a run. */
export interface PlannedStage extends StageSpec {
  /** The step that it begins with. */
  readonly from: number;
  readonly steps: number;
}

/**
 * Stages with their steps.
 *
 * @param total steps of all stages together, in which each keeps its share; by default as many as their images need
 */
export function plannedStages(
  stages: readonly StageSpec[],
  batchSize: number,
  total?: number,
): PlannedStage[] {
  const images = stages.reduce((sum, { settings }) => sum + settings.images, 0);
  const perImage = (total ?? Math.max(1, images / batchSize)) / images;
  const planned: PlannedStage[] = [];
  let seen = 0;
  let from = 0;
  for (const stage of stages) {
    seen += stage.settings.images;
    const end = Math.round(seen * perImage);
    planned.push({ ...stage, from, steps: end - from });
    from = end;
  }
  return planned;
}

/** The stage of a step. */
export function stageAt(stages: readonly PlannedStage[], step: number): PlannedStage {
  return stages.findLast(({ from }) => from <= step)!;
}
