import { accepted, ConfigError, didYouMean, type Setting } from "./setting.ts";
import { defineSettings } from "./settings.ts";
import { chooseSolver, type ChosenSolver, solving, type SolvingConfig } from "./solving.ts";

const table = defineSettings(solving);
/** The settings as they are called in a text. */
const names = new Map<string, keyof SolvingConfig>([
  ["steps", "steps"],
  ["rtol", "rtol"],
  ["atol", "atol"],
  ["max-evaluations", "maxEvaluations"],
  ["noise", "noise"],
  ["grid", "grid"],
]);
const keyOf = (name: keyof SolvingConfig) => [...names].find(([, known]) => known === name)?.[0] ?? name;

/**
 * Reads a solver from one text: `heun`, `heun:steps=20`, `heun:steps=20,grid=quadratic`, `heun:grid=0,0.1,0.5,1`,
 * `dopri5:rtol=1e-3`, `sde:steps=100,noise=1`. The keys are the flags of `deno task sample`, with the same defaults; `grid`
 * stands last, because its value may hold commas.
 *
 * @throws {ConfigError} if the text names no solver, or gives it settings that it does not take
 */
export function solverSpec(text: string): ChosenSolver {
  const where = `the solver ${JSON.stringify(text)}`;
  const [solver, ...rest] = text.split(":");
  const given = new Map<keyof SolvingConfig, unknown>([["solver", accepted(solving.solver, solver, where)]]);
  for (const [key, value] of pairsOf(rest.join(":"), where)) {
    const name = names.get(key);
    if (name === undefined) {
      const known = [...names.keys()];
      const meant = didYouMean(key, known) || ` (expected ${known.join(", ")})`;
      throw new ConfigError(`Cannot use ${where}: it has no setting ${JSON.stringify(key)}${meant}`);
    }
    if (given.has(name)) throw new ConfigError(`Cannot use ${where}: ${key} is given twice`);
    const setting: Setting<unknown> = solving[name];
    given.set(
      name,
      accepted(setting, setting.fromText(value), `${key} ${JSON.stringify(value)} of ${where}`),
    );
  }
  const values = Object.fromEntries(given) as Partial<SolvingConfig>;
  const chosen = chooseSolver(values, table.resolve(values), keyOf);
  if ("how" in chosen) return chosen;
  throw new ConfigError(`Cannot use ${keyOf(chosen.name)} of ${where}: ${chosen.problem}`);
}

/** `steps=20,grid=0,0.5,1` as pairs; a grid takes all that follows. */
function pairsOf(text: string, where: string): [key: string, value: string][] {
  if (text === "") return [];
  const at = text.search(/(?:^|,)grid=/);
  const [head, grid] = at < 0 ? [text, []] : [text.slice(0, at), [text.slice(at).replace(/^,/, "")]];
  return [...head === "" ? [] : head.split(","), ...grid].map((pair) => {
    const equals = pair.indexOf("=");
    if (equals > 0) return [pair.slice(0, equals), pair.slice(equals + 1)];
    throw new ConfigError(`Cannot use ${where}: "${pair}" is not a setting (expected key=value)`);
  });
}
