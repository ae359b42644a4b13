import { anyOf } from "../run/field_checks.ts";
import { asText, type Setting } from "./settings.ts";
import { makeVariant, type Variant, variant } from "./kinds.ts";

const images = (count: number) => ({ doc: "images to train on", default: count, above: 0, max: 1e9 });
const rate = (factor: number) => ({
  doc: "factor of the learning rates",
  default: factor,
  above: 0,
  max: 100,
});
const points = "with the teacher's velocity";

/** Name of a stage. */
export type StageName = "bake" | "mean" | "shortcut" | "reflow" | "drift";

/** A stage with complete settings. */
export interface StageSpec {
  readonly name: StageName;
  readonly settings: Readonly<Record<string, number>>;
}

function kind(name: StageName, doc: string, settings: Variant<StageSpec>["settings"]): Variant<StageSpec> {
  return { doc, settings, make: (settings) => ({ name, settings }) };
}

/** The stages of a distillation, by name. */
const kinds: Readonly<Record<StageName, Variant<StageSpec>>> = {
  bake: kind("bake", "one row learns what guidance makes of two", { images: images(6400), rate: rate(0.5) }),
  mean: kind("mean", `flow map by the mean rule, ${points}`, { images: images(25_600), rate: rate(1) }),
  shortcut: kind("shortcut", `flow map by the shortcut rule, ${points}`, {
    images: images(25_600),
    rate: rate(1),
  }),
  reflow: kind("reflow", "straight lines between noise and the teacher's images", {
    images: images(9600),
    rate: rate(1),
    pairs: { doc: "images that the teacher draws", default: 2400, min: 1, max: 1e6 },
    steps: { doc: "Heun steps of each", default: 5, min: 1, max: 1000 },
    whole: { doc: "share that learns the whole line in one step", default: 1, min: 0, max: 1 },
  }),
  drift: kind("drift", "generated images drift towards real ones and apart", {
    images: images(100_000),
    rate: rate(1),
    evaluations: { doc: "evaluations from noise to image", default: 1, min: 1, max: 64 },
    references: { doc: "real images", default: 20_000, min: 1, max: 1e6 },
    keep: {
      doc: "one step in N by the shortcut rule, which keeps more evaluations and the flow good; 0 = none",
      default: 6,
      min: 0,
      max: 100,
    },
    others: { doc: "weight of other classes, which push away", default: 0.1, above: 0, max: 1 },
    push: { doc: "share by which the push away outweighs the pull", default: 0.03, min: 0, max: 1 },
  }),
};

const one = variant(kinds, { doc: "" });

/** A setting for stages in their order, `reflow+drift:images=64000`: names with settings, joined by plus signs. */
export function stagesSetting(options: Pick<Setting<string>, "doc" | "default" | "needs">): Setting<string> {
  const problemOf = (value: unknown) =>
    typeof value === "string"
      ? value.split("+").map((text) => one.accepts(text) ? undefined : one.problem?.(text)).find(Boolean)
      : `expected ${anyOf(Object.keys(kinds))}`;
  return {
    ...options,
    hint: "STAGE[+STAGE...]",
    expected: "stages such as reflow+drift:images=64000",
    details: Object.entries(kinds).map(([name, { doc, settings }]) => {
      const defaults = Object.entries(settings).map(([key, setting]) => `${key}=${setting.default}`);
      return `${name}  ${doc} (${defaults.join(", ")})`;
    }),
    accepts: (value): value is string => problemOf(value) === undefined,
    problem: (value) => problemOf(asText(value)),
  };
}

/** A stage of a run. */
export interface PlannedStage extends StageSpec {
  /** The step that it begins with. */
  readonly from: number;
  readonly steps: number;
}

const specsOf = (text: string) => text.split("+").map((part) => makeVariant<StageSpec>(kinds, part));

/**
 * The stages with the values of all their settings.
 *
 * @throws {RangeError} if the setting refuses the text
 */
export function completeStages(text: string): string {
  return specsOf(text).map(({ name, settings }) =>
    `${name}:${Object.entries(settings).map((pair) => pair.join("=")).join()}`
  ).join("+");
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
  { stages, batchSize, maxSteps }: {
    readonly stages: string | null;
    readonly batchSize: number;
    readonly maxSteps: number;
  },
): readonly PlannedStage[] | undefined {
  return stages === null ? undefined : plannedStages(stages, batchSize, maxSteps);
}

/** The stage of a step. */
export function stageAt(stages: readonly PlannedStage[], step: number): PlannedStage {
  return stages.findLast(({ from }) => from <= step)!;
}
