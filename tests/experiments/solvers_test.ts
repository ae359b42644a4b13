import assert from "node:assert/strict";
import {
  cheapestOfBest,
  readSolverCosts,
  type SolverCost,
} from "../../experiments/evaluation/solver_comparison.ts";
import { lockRun } from "../../experiments/run/run_folder.ts";
import { testTask } from "./cli.ts";
import { makeRun } from "./evaluated_run.ts";
import { testMistakes } from "./refusals.ts";

testTask("solvers compares solvers on the same noise, and keeps earlier results", async (place) => {
  await makeRun(place);
  const compare = (solvers: string) =>
    place.succeed("solvers", `a --count 170 --device cpu --threads 1 --solvers ${solvers}`);
  const { stdout } = await compare("euler:steps=2;heun:steps=1");
  assert.match(stdout, /170 samples per solver, all from the noise of seed 0/);
  assert.match(stdout, /euler:steps=2 +4 /);
  assert.match(stdout, /\nlenet and vgg rank [^\n]+\n/);
  await compare("euler:steps=2;heun:steps=1;dopri5:rtol=1e-1");
  const { solvers } = (await readSolverCosts(place.file("a", "solvers.json")))!;
  assert.deepEqual(solvers.map(({ spec }) => spec), ["euler:steps=2", "heun:steps=1", "dopri5:rtol=1e-1"]);
  assert.deepEqual(
    solvers.slice(0, 2).map(({ evaluations }) => evaluations),
    [4, 4],
    "guided: with and without the class",
  );
  assert.ok(solvers[2].evaluations >= 16, "twice 2 + 6 for each try");
  const keys = ["asked_class", "vgg/frechet", "vgg/confident", "vgg/asked_class"] as const;
  assert.ok(solvers.every((cost) => keys.every((key) => cost[key])), "both judges");
  const [kept] = solvers;
  await compare("euler:steps=2");
  const after = (await readSolverCosts(place.file("a", "solvers.json")))!;
  assert.deepEqual(after.solvers[0], kept, "an earlier result is not measured again");
  const report = new TextDecoder().decode(await place.read("a", "report.html"));
  assert.ok(report.includes('<section id="solvers"'));

  {
    using _ = await lockRun(place.file("a"));
    const { stderr } = await place.run("solvers", "a --count 170 --device cpu --solvers euler:steps=1");
    assert.match(stderr, /^RunError: [^\n]*a[^\n]*\n$/, "another program works on the run");
  }
  const other = await place.succeed(
    "solvers",
    "a --count 170 --device cpu --threads 1 --seed 1 --solvers euler:steps=1",
  );
  assert.match(other.stderr, /Remeasuring: seed changed/);
  assert.equal((await readSolverCosts(place.file("a", "solvers.json")))!.solvers.length, 1);
});

testTask("solvers FILE compares solvers on weights outside of a run", async (place) => {
  await makeRun(place);
  const flags =
    "--data data --count 170 --device cpu --threads 1 --guidance 2 --solvers euler:steps=1 --out costs.json";
  const { stderr } = await place.succeed("solvers", `a/last.safetensors ${flags}`);
  const { common, solvers } = (await readSolverCosts(place.file("costs.json")))!;
  assert.deepEqual([common.guidance, solvers[0].evaluations], [2, 2]);
  assert.match(
    stderr,
    /The cheapest that may be as good as the best: euler:steps=1\nDone; see costs\.json\n$/,
  );
});

Deno.test("cheapestOfBest() is the cheapest within the interval of the best", () => {
  const cost = (spec: string, evaluations: number, value: number): SolverCost => {
    const estimate = { value, low: value - 1, high: value + 1 };
    return { spec, evaluations, seconds: 1, frechet: estimate, confident: estimate };
  };
  const costs = [cost("a", 4, 9), cost("b", 8, 5.9), cost("c", 16, 5), cost("d", 64, 5.2)];
  assert.equal(cheapestOfBest(costs).spec, "b");
  assert.equal(cheapestOfBest(costs.slice(2)).spec, "c");
  assert.equal(cheapestOfBest([cost("none", 1, NaN), ...costs]).spec, "b");
});

Deno.test("cheapestOfBest() asks both judges, and the first one if no solver satisfies both", () => {
  const cost = (spec: string, evaluations: number, ...[first, second]: number[]): SolverCost => {
    const around = (value: number) => ({ value, low: value - 1, high: value + 1 });
    const [frechet, confident] = [around(first), around(0.5)];
    return { spec, evaluations, seconds: 1, frechet, confident, "vgg/frechet": around(second) };
  };
  const costs = [cost("a", 4, 5, 90), cost("b", 8, 5.5, 40), cost("c", 16, 5.2, 39)];
  assert.equal(cheapestOfBest(costs).spec, "b", "the second judge sees that a is bad");
  assert.equal(cheapestOfBest([costs[0], cost("d", 8, 50, 40)]).spec, "a");
});

testMistakes("solvers", {
  "--device cpu": "ConfigError: Cannot compare solvers on 0 runs",
  "a --checkpoint b": "ConfigError: Cannot compare solvers on 1 runs and a checkpoint",
  "a --out b.json": "ConfigError: --out has no effect without a file of weights",
  "a --solvers heun:steps=2;hein:steps=2":
    'ConfigError: Cannot use --solvers "heun:steps=2;hein:steps=2": hein:steps=2: expected ',
  "a --solvers heun:steps=2;heun:steps=2":
    'ConfigError: Cannot use --solvers "heun:steps=2;heun:steps=2": heun:steps=2 is listed twice',
});
