/** Titles of charts: opposite data give opposite titles, and unclear data give none. */

import assert from "node:assert/strict";
import {
  binsFinding,
  differenceFinding,
  lossFinding,
  overTimeFinding,
  planeFinding,
  rateFinding,
  solversFinding,
} from "../../../viz/report/findings.ts";
import { reportHtml, type SolverQuality } from "../../../viz/report/mod.ts";
import { overTime, plane, quality, run, two } from "./made_up.ts";

const step = [100, 200, 300, 1400];
const losing = (...value: number[]) => run("a", { valLoss: { step: step.slice(0, value.length), value } });
const ending = (name: string, loss: number) => run(name, { valLoss: { step: [1], value: [loss] } });
const rates = (
  ...value: number[]
) => [run("a", { learningRate: { step: step.slice(0, value.length), value } })];
const bins = (...losses: (number | null)[]) =>
  run("a", {
    lossByTime: losses.map((loss, i) => ({
      from: i / losses.length,
      to: (i + 1) / losses.length,
      images: 9,
      loss,
    })),
  });
const bent = (
  ...curvature: number[]
) => [{ overTime: { ...overTime!, t: [0, 0.5, 0.9], straightness: curvature, curvature } }];
const inPlane = (values: number[]) => {
  const [M, N] = [4, 20];
  const all = Float32Array.from({ length: (M - 1) * N }, (_, i) => values[Math.floor(i / N)]);
  return [run("a", { plane: { ...plane(M, N), speed: all, straightness: all.map((value) => 1 - value) } })];
};
const solver = (evaluations: number, value: number, chosen: boolean): SolverQuality => ({
  ...{ solver: "heun", words: `heun ${evaluations}`, evaluations, confident: 0.9, chosen },
  frechet: { value, low: value - 1, high: value + 1 },
});
const differing = (...at: number[]) => ({
  ...two.comparison!,
  t: Float32Array.of(0, 0.5, 0.9),
  difference: [0, 1].map(() => [[[0, 0, 0], at], [at, [0, 0, 0]]]),
});

Deno.test("findings state what the data show, and are undefined if that is unclear", () => {
  const cases: [finding: string | undefined, expected: string | undefined][] = [
    [lossFinding({ runs: [losing(0.4, 0.3, 0.25, 0.2)] }), "Loss was still falling at the end"],
    [lossFinding({ runs: [losing(0.4, 0.2, 0.2, 0.2)] }), "Loss hardly fell towards the end"],
    [
      lossFinding({ runs: [losing(0.4, 0.2, 0.25, 0.3)] }),
      "Loss was lowest at step 200 and rose afterwards",
    ],
    [lossFinding({ runs: [run("a")] }), undefined],
    [
      lossFinding({ runs: [{ ...losing(0.4, 0.3, 0.25, 0.2), stages: [{ name: "pairs", from: 0 }] }] }),
      undefined,
    ],
    [lossFinding({ runs: [ending("a", 0.2), ending("b", 0.3)] }), "a has the lowest loss"],
    [lossFinding({ runs: [ending("a", 0.3), ending("b", 0.2)] }), "b has the lowest loss"],
    [lossFinding({ runs: [ending("a", 0.2), ending("b", 0.201)] }), undefined],
    [lossFinding({ runs: [ending("a", 0.3), ending("b", 0.2)], lossWarning: "Not comparable." }), undefined],
    [rateFinding(rates(0, 0.01, 0.002)), "Learning rate peaks at 0.01 at step 200"],
    [rateFinding(rates(0.01, 0.005, 0)), "Learning rate falls from 0.01 to 0"],
    [rateFinding(rates(0.01, 0.01)), "Learning rate stays at 0.01"],
    [rateFinding([...rates(0.01, 0.005), ...rates(0.01, 0.01)]), undefined],
    [binsFinding([bins(0.9, 0.2, 0.3)]), "Loss is highest near the noise"],
    [binsFinding([bins(0.2, null, 0.9)]), "Loss is highest near the data"],
    [binsFinding([bins(0.2, 0.9, 0.3)]), "Loss is highest halfway"],
    [binsFinding([bins(0.9, 0.2, 0.8)]), "Loss is highest at both ends"],
    [binsFinding([bins(0.9, 0.8, 0.2)]), undefined],
    [binsFinding([bins(0.3, 0.31, 0.32)]), undefined],
    [binsFinding([bins(0.9, 0.2), bins(0.2, 0.9)]), undefined],
    [
      overTimeFinding(bent(0.5, 0.1, 0.1), "straightness"),
      "The flow is least straight near the noise",
    ],
    [
      overTimeFinding(bent(0.1, 0.1, 0.5), "straightness"),
      "The flow is least straight near the data",
    ],
    [overTimeFinding(bent(0.1, 0.5, 0.1), "curvature"), "The flow bends most halfway"],
    [overTimeFinding([{ overTime: undefined }], "curvature"), undefined],
    [planeFinding(inPlane([1, 0.5, 0.5]), "speed"), "Samples move fastest near the noise"],
    [planeFinding(inPlane([0.5, 0.5, 1]), "speed"), "Samples move fastest near the data"],
    [planeFinding(inPlane([0.5, 0.1, 0.1]), "straightness"), "Samples head least straight near the noise"],
    [planeFinding(inPlane([0.1, 0.1, 0.5]), "straightness"), "Samples head least straight near the data"],
    [planeFinding([run("a")], "straightness"), undefined],
    [solversFinding([solver(8, 5, true), solver(20, 4, false)]), "8 evaluations may be as good as 20"],
    [
      solversFinding([solver(8, 9, false), solver(20, 4, true)]),
      "Nothing cheaper than 20 evaluations is as good",
    ],
    [solversFinding([solver(8, 5, true)]), undefined],
    [differenceFinding(differing(3, 1, 1)), "Velocities differ most near the noise"],
    [differenceFinding(differing(1, 1, 3)), "Velocities differ most near the data"],
    [differenceFinding(differing(1, 1, 1)), undefined],
  ];
  for (const [i, [finding, expected]] of cases.entries()) assert.equal(finding, expected, `case ${i}`);
});

Deno.test("reportHtml() titles charts with their findings, or else neutrally", () => {
  const titles = (value: number[]) => {
    const page = reportHtml({ runs: [{ ...losing(...value), quality: quality(), overTime }] });
    return Array.from(page.matchAll(/<h3>(.*?)<\/h3>/g), ([, title]) => title);
  };
  assert.ok(titles([0.4, 0.3, 0.25, 0.2]).includes("Loss was still falling at the end"));
  assert.ok(titles([0.4]).includes("Loss"));
  assert.ok(titles([0.4]).includes("Alignment"));
});
