import { asText, flagOf } from "./setting.ts";

/** Settings that change what any loss means: its scale or its lowest possible value. */
const meaning = ["normalize", "conditional", "path", "coupling", "prediction"] as const;

/** Settings that change the training loss alone, since held-out losses use uniform times. */
const ofTraining = ["times"] as const;

/**
 * Explains why the losses of several runs cannot be compared.
 *
 * @param runs settings of each run by name; missing ones are skipped
 * @returns e.g. `Losses of these runs are not comparable: --normalize is -1..1 or 0..1`; undefined if they are
 */
export function lossWarning(runs: readonly Readonly<Record<string, unknown>>[]): string | undefined {
  const differing = (names: readonly string[]) =>
    names.flatMap((name) => {
      const values = new Set(runs.flatMap((run) => {
        return run[name] === undefined ? [] : [asText(run[name])];
      }));
      return values.size > 1 ? [`${flagOf(name)} is ${[...values].join(" or ")}`] : [];
    });
  const [all, training] = [differing(meaning), differing(ofTraining)];
  if (all.length > 0) return `Losses of these runs are not comparable: ${[...all, ...training].join(", ")}`;
  if (training.length === 0) return undefined;
  return "Training losses of these runs are not comparable, those of validation and test are: " +
    training.join(", ");
}
