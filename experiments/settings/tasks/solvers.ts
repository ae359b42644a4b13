import { integer, optional, path, text } from "../kinds.ts";
import { ConfigError, flagOf, type Values } from "../setting.ts";
import { defineSettings } from "../settings.ts";
import { solverSpec } from "../solver_spec.ts";
import { evaluating } from "./evaluate.ts";
import { shared } from "./shared.ts";
import { training } from "./train.ts";

/** The solvers that are compared by default, by their evaluations of the network. */
export const usualSolvers: readonly string[] = [
  ...[4, 8, 16, 32, 64].map((steps) => `euler:steps=${steps}`),
  ...[2, 4, 8, 16, 32].flatMap((steps) => [`midpoint:steps=${steps}`, `heun:steps=${steps}`]),
  ...[2, 5, 10, 21].map((steps) => `bosh3:steps=${steps}`),
  ...[1, 2, 4, 8, 16].map((steps) => `rk4:steps=${steps}`),
  ...[1, 3, 5, 10].map((steps) => `dopri5:steps=${steps}`),
  ...["1e-1", "1e-2", "1e-3"].flatMap((rtol) => [`bosh3:rtol=${rtol}`, `dopri5:rtol=${rtol}`]),
  ...[16, 64].map((steps) => `sde:steps=${steps}`),
];

/** The settings of the task that compares solvers. */
export const comparingSolvers = defineSettings({
  solvers: optional(text({
    doc:
      `solvers to compare, such as "heun:steps=8;dopri5:rtol=1e-2" (else all, with ${usualSolvers.length} settings)`,
    hint: "SPEC;...",
    pattern: /[^;\s]/,
    expected: "solvers such as heun:steps=8;dopri5:rtol=1e-2",
  })),
  checkpoint: optional(path("FILE", "weights to draw from, where they are not those of a run")),
  data: optional({ ...training.rows.data, doc: `data of the checkpoint; ${training.rows.data.doc}` }),
  count: integer({
    doc: "samples by each solver, all from the same noise",
    min: 2,
    max: 100_000,
    default: 1000,
  }),
  seed: integer({ doc: "seed of the noise", max: 2 ** 32 - 1, default: 0 }),
  guidance: evaluating.rows.guidance,
  out: optional(
    path("FILE", "results of a checkpoint as JSON; of a run they are solvers.json in its folder"),
  ),
  device: shared.device,
  threads: shared.threads,
});

/** What the command line of the task says. */
export type SolversWords = Values<typeof comparingSolvers.rows> & {
  readonly help: boolean;
  /** Its folder; none where a checkpoint is named. */
  readonly run: string | undefined;
  /** The solvers, one by one. */
  readonly specs: readonly string[];
};

/**
 * Reads `RUN [flags]`, or flags with a checkpoint.
 *
 * @throws {ConfigError} if not one run or checkpoint is named, a flag cannot be used, or a solver is unknown or given twice
 */
export function parseSolversWords(argv: readonly string[]): SolversWords {
  const { words, help, values } = comparingSolvers.parseWords(argv);
  const config = comparingSolvers.resolve(values);
  const isCheckpoint = config.checkpoint !== null;
  if (!help && words.length !== (isCheckpoint ? 0 : 1)) {
    throw new ConfigError(
      `Cannot compare solvers on ${words.length} runs${isCheckpoint ? " and a checkpoint" : ""}: ` +
        "name the folder of one run, or --checkpoint FILE (see --help)",
    );
  }
  const idle = (["data", "out"] as const).find((name) => !isCheckpoint && name in values);
  if (idle) throw new ConfigError(`Cannot use ${flagOf(idle)} with a run: it has no effect there`);
  const specs = config.solvers?.split(";").map((spec) => spec.trim()).filter((spec) => spec !== "") ??
    usualSolvers;
  specs.forEach(solverSpec); // fails before anything is drawn
  const twice = specs.find((spec, i) => specs.indexOf(spec) < i);
  if (twice !== undefined) throw new ConfigError(`Cannot use --solvers: ${twice} is given twice`);
  return { ...config, help, run: words[0], specs };
}
