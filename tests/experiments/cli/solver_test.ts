import { anyOf } from "../../../experiments/run/field_checks.ts";
import { gridTimes, solvers } from "../../../models/mod.ts";
import assert from "node:assert/strict";
import { training } from "../../../experiments/settings/training.ts";
import { makeSolver, solverSetting, solverWith } from "../../../experiments/cli/solver.ts";
import { assertClose } from "../../testing.ts";

const adaptive = { solver: "dopri5", maxEvaluations: 1000 } as const;

Deno.test("makeSolver() reads solvers, and describes them", () => {
  const capped = "dopri5:atol=0.1,rtol=1e-3,max-evaluations=50";
  const cases: [text: string, how: object, description: string][] = [
    ["heun", { solver: "heun", steps: 20 }, "heun, 20 steps"],
    ["euler:steps=1", { solver: "euler", steps: 1 }, "euler, 1 step"],
    ["dopri5:steps=4", { solver: "dopri5", steps: 4 }, "dopri5, 4 steps"],
    ["euler:grid=0/0.1/1", { solver: "euler", times: [0, 0.1, 1] }, "euler, 2 steps, times 0/0.1/1"],
    ["dopri5:rtol=1e-3", { ...adaptive, rtol: 1e-3, atol: 1e-3 }, "dopri5, rtol 0.001, atol 0.001"],
    ["dopri5:atol=0.1", { ...adaptive, rtol: 0.1, atol: 0.1 }, "dopri5, rtol 0.1, atol 0.1"],
    [capped, { ...adaptive, rtol: 1e-3, atol: 0.1, maxEvaluations: 50 }, "dopri5, rtol 0.001, atol 0.1"],
    ["heun:steps=4,last=heun", { solver: "heun", steps: 4, last: "heun" }, "heun, 4 steps, last step heun"],
    [
      "dopri5:rtol=0.1,last=dopri5",
      { ...adaptive, rtol: 0.1, atol: 0.1, last: "dopri5" },
      "dopri5, rtol 0.1, atol 0.1, last step dopri5",
    ],
    ["sde:noise=0.5,steps=9", { solver: "sde", noise: 0.5, steps: 9 }, "sde, 9 steps, noise 0.5"],
  ];
  for (const [text, how, description] of cases) {
    assert.deepEqual(makeSolver(text), { how, description, text }, text);
  }
  assert.deepEqual(solverWith("euler", 1), makeSolver("euler:steps=1"));
  assert.deepEqual(solverWith("heun", 20), makeSolver("heun:steps=20"));

  assert.deepEqual(makeSolver("map:steps=4").how, { solver: "map", steps: 4 }, "at its own times");
  assertClose(gridTimes(4, makeSolver("map:steps=4,grid=uniform").how.grid!), [0, 0.25, 0.5, 0.75, 1], 0);

  const { how, description } = makeSolver("heun:steps=5,grid=quadratic:bend=-1");
  assert.equal(description, "heun, 5 steps, times quadratic:bend=-1");
  assertClose(gridTimes(5, how.grid!), [0, 0.04, 0.16, 0.36, 0.64, 1], 1e-12);
});

Deno.test("makeSolver() refuses settings without effect or meaning in one line", () => {
  const inUnit = "expected times that rise from 0 to 1, such as 0/0.35/1";
  const refusals: Readonly<Record<string, string>> = {
    "heum:steps=3": `expected ${anyOf([...Object.keys(solvers), "sde", "map"])} (did you mean heun?)`,
    "heun:rtol=1e-3": "heun has no setting rtol; it has steps, grid, last",
    "dopri5:rtol=0": 'rtol of dopri5 is "0" (expected a number above 0 and of at most 1)',
    "dopri5:rtol=0.1,steps=4": "with rtol or atol, dopri5 chooses its own steps (leave out steps)",
    "dopri5:rtol=0.1,grid=quadratic": "with rtol or atol, dopri5 chooses its own steps (leave out grid)",
    "dopri5:max-evaluations=4": "max-evaluations has no effect without rtol or atol; remove it",
    "sde:steps=4,noise=9": "noise 9 is too strong for 4 steps (expected at most 8, or more steps)",
    "euler:steps=4,grid=0/1": "grid=0/1 has its own steps (leave out steps)",
    "euler:grid=0/0.5": `the last time is 0.5 (${inUnit})`,
    "euler:grid=0/0.5/0.2/1": `time 3 of 4 is 0.2 (${inUnit})`,
    "euler:grid=0/x/1": `time 2 of 3 is NaN (${inUnit})`,
    "euler:grid=quadratik":
      "expected uniform, quadratic or logarithmic (did you mean quadratic?), or times such as 0/0.35/1",
    "euler:grid=quadratic:bend=2":
      'bend of quadratic is "2" (expected a number of at least -1 and of at most 1), or times such as 0/0.35/1',
    "heun:last=map": 'last of heun is "map" (expected euler, midpoint, heun, bosh3, rk4 or dopri5)',
    "map:last=euler": "map has no setting last; it has steps, grid",
    "euler:step=4": "euler has no setting step (did you mean steps?); it has steps, grid, last",
    "euler:steps=0": 'steps of euler is "0" (expected a whole number of at least 1 and of at most 16777216)',
  };
  for (const [text, problem] of Object.entries(refusals)) {
    const message = `Cannot use the solver ${JSON.stringify(text)}: ${problem}`;
    assert.throws(() => makeSolver(text), { name: "ConfigError", message }, text);
  }
});

Deno.test("solverSetting() accepts only solvers that the task can use", () => {
  const { solver } = training.rows;
  assert.ok(solver.accepts("euler:steps=3") && solver.accepts("heun:grid=0/0.5/1"));
  assert.equal(solver.problem?.("dopri5:rtol=0.1"), "dopri5 has no setting rtol; it has steps, grid, last");
  assert.match(solver.problem?.("sde") ?? "", /^sde adds noise on the way \(expected euler, /);
  const backward = solverSetting({ doc: "" }, "backward");
  assert.ok(backward.accepts("dopri5:rtol=0.1"));
  assert.match(backward.problem?.("sde") ?? "", /^sde only leads from noise to images /);
  assert.throws(() => makeSolver("sde", "fixed"), { name: "ConfigError" });
});
