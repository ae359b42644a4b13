import assert from "node:assert/strict";
import { solverSpec } from "../../../experiments/settings/solver_spec.ts";
import { gridTimes } from "../../../models/mod.ts";
import { assertClose } from "../../testing.ts";

const adaptive = { method: "adaptive", solver: "dopri5", maxEvaluations: 1000 } as const;

Deno.test("solverSpec() reads solvers, and what they are called", () => {
  for (
    const [text, how, words] of [
      ["heun", { method: "fixed", solver: "heun", steps: 20 }, "heun, 20 steps"],
      ["euler:steps=1", { method: "fixed", solver: "euler", steps: 1 }, "euler, 1 step"],
      ["dopri5:steps=4", { method: "fixed", solver: "dopri5", steps: 4 }, "dopri5, 4 steps"],
      [
        "euler:grid=0,0.1,1",
        { method: "fixed", solver: "euler", times: [0, 0.1, 1] },
        "euler, 2 steps, times 0,0.1,1",
      ],
      ["dopri5:rtol=1e-3", { ...adaptive, rtol: 1e-3, atol: 1e-3 }, "dopri5, rtol 0.001, atol 0.001"],
      [
        "dopri5:atol=0.1,rtol=1e-3,max-evaluations=50",
        { ...adaptive, rtol: 1e-3, atol: 0.1, maxEvaluations: 50 },
        "dopri5, rtol 0.001, atol 0.1",
      ],
      [
        "sde:noise=0.5,steps=9",
        { method: "stochastic", solver: "sde", noise: 0.5, steps: 9 },
        "sde, 9 steps, noise 0.5",
      ],
    ] as const
  ) assert.deepEqual(solverSpec(text), { how, words }, text);

  const { how, words } = solverSpec("heun:steps=5,grid=quadratic:bend=-1");
  assert.equal(words, "heun, 5 steps, times quadratic:bend=-1");
  assert.ok(how.method === "fixed" && how.grid);
  assertClose(gridTimes(5, how.grid), [0, 0.04, 0.16, 0.36, 0.64, 1], 1e-12);
});

Deno.test("solverSpec() refuses what has no effect or no meaning, in one line", () => {
  for (
    const [text, says] of [
      [
        "heum:steps=3",
        'the solver "heum:steps=3": expected euler, midpoint, heun, bosh3, rk4, dopri5 or sde (did you mean heun?)',
      ],
      [
        "heun:rtol=1e-3",
        'rtol of the solver "heun:rtol=1e-3": heun cannot choose its own steps (expected solver bosh3 or dopri5)',
      ],
      ["dopri5:rtol=0", 'rtol "0" of the solver "dopri5:rtol=0": expected a number above 0 and of at most 1'],
      [
        "dopri5:atol=1.5",
        'atol "1.5" of the solver "dopri5:atol=1.5": expected a number above 0 and of at most 1',
      ],
      [
        "dopri5:rtol=0.1,steps=4",
        'steps of the solver "dopri5:rtol=0.1,steps=4": with rtol or atol, dopri5 chooses its own steps (leave one of them out)',
      ],
      [
        "dopri5:max-evaluations=4",
        'max-evaluations of the solver "dopri5:max-evaluations=4": the steps are fixed (expected rtol or atol with it)',
      ],
      ["heun:noise=1", 'noise of the solver "heun:noise=1": heun adds no noise (expected solver sde)'],
      [
        "sde:steps=4,noise=9",
        'noise of the solver "sde:steps=4,noise=9": it is too strong for 4 steps (expected at most 8, or more steps)',
      ],
      [
        "euler:steps=4,grid=0,1",
        'steps of the solver "euler:steps=4,grid=0,1": grid 0,1 has its own steps (leave one of them out)',
      ],
      [
        "euler:grid=0,0.5",
        'grid "0,0.5" of the solver "euler:grid=0,0.5": the last time is 0.5 (expected times that rise from 0 to 1, such as 0,0.1,0.5,1)',
      ],
      [
        "euler:grid=0,0.5,0.2,1",
        'grid "0,0.5,0.2,1" of the solver "euler:grid=0,0.5,0.2,1": time 3 of 4 is 0.2 (expected times that rise from 0 to 1, such as 0,0.1,0.5,1)',
      ],
      [
        "euler:grid=0,x,1",
        'grid "0,x,1" of the solver "euler:grid=0,x,1": time 2 of 3 is NaN (expected times that rise from 0 to 1, such as 0,0.1,0.5,1)',
      ],
      [
        "euler:grid=quadratik",
        'grid "quadratik" of the solver "euler:grid=quadratik": expected uniform, quadratic or logarithmic (did you mean quadratic?), or a list such as 0,0.1,0.5,1',
      ],
      [
        "euler:grid=quadratic:bend=2",
        'grid "quadratic:bend=2" of the solver "euler:grid=quadratic:bend=2": bend of quadratic is "2" (expected a number of at least -1 and of at most 1), or a list such as 0,0.1,0.5,1',
      ],
      ["euler:step=4", 'the solver "euler:step=4": it has no setting "step" (did you mean steps?)'],
      [
        "euler:zzzzzz=4",
        'the solver "euler:zzzzzz=4": it has no setting "zzzzzz" (expected steps, rtol, atol, max-evaluations, noise, grid)',
      ],
      ["euler:steps", 'the solver "euler:steps": "steps" is not a setting (expected key=value)'],
      ["euler:steps=1,steps=2", 'the solver "euler:steps=1,steps=2": steps is given twice'],
    ]
  ) assert.throws(() => solverSpec(text), { name: "ConfigError", message: `Cannot use ${says}` }, text);
});
