import assert from "node:assert/strict";
import { qualityWarning } from "../../../experiments/evaluation/comparable.ts";
import type { Evaluation } from "../../../experiments/evaluation/evaluation.ts";

const evaluation: Evaluation = {
  version: 1,
  ...{ time: 1_700_000_000_000, seconds: 12, device: "a device" },
  weights: { file: "ema.safetensors", sha256: "ab".repeat(32), step: 400 },
  dataset: { name: "made-up", digest: "cd".repeat(32), testOrder: "random" },
  judge: { sha256: "ef".repeat(32), accuracy: 0.9912, source: "stored" },
  samples: { count: 2000, seed: 0, how: "heun", evaluations: 80_000, seconds: 61 },
  figures: {},
};

Deno.test("qualityWarning() names what evaluations do not have in common", () => {
  const { dataset, judge, samples } = evaluation;
  const cases: readonly [change: Partial<Evaluation>, what: string | undefined][] = [
    [{ time: 0, device: "other", samples: { ...samples, seed: 1, how: "euler" } }, undefined],
    [
      { dataset: { name: "made-up", digest: dataset.digest } },
      "test images: random ones or the first of their file",
    ],
    [
      { dataset: { ...dataset, name: "other" } },
      "data: made-up (cdcdcdcdcdcd) or other (cdcdcdcdcdcd)",
    ],
    [
      { judge: { ...judge!, sha256: "01".repeat(32) }, samples: { ...samples, count: 500 } },
      "judge: efefefefefef or 010101010101; samples: 2,000 or 500",
    ],
    [{ judge: undefined }, "judge: efefefefefef or none"],
  ];
  for (const [change, what] of cases) {
    const found = qualityWarning([evaluation, { ...evaluation, ...change }, evaluation]);
    const expected = what && `Figures of quality of these runs are not comparable (${what})`;
    assert.equal(found, expected, JSON.stringify(change));
  }
  assert.equal(qualityWarning([evaluation]), undefined);
  assert.equal(qualityWarning([]), undefined);
});
