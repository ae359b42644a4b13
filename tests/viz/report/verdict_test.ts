/** What reports say of figures: a claim holds only if noise, guessing, real images and the interval allow it. */

import assert from "node:assert/strict";
import type { QualityFigure, Question } from "../../../viz/report/mod.ts";
import { noiseScoresWell, verdictOf } from "../../../viz/report/verdict.ts";

const common = { meaning: "", cost: "", share: true, better: "higher" } as const;
const asked = { ...common, title: "Requested class", chance: 0.1, real: 0.99 } as const;
const coverage = { ...common, title: "Coverage", real: 0.975, noise: 0 } as const;
const precision = { ...common, title: "Precision", real: 0.98, noise: 1 } as const;
const distance = {
  ...common,
  title: "Distance",
  share: false,
  better: "lower",
  real: 2,
  noise: 900,
} as const;
const authentic = { ...common, title: "Authentic", better: "real", real: 0.9 } as const;

/** A value with an interval of 2 % on either side. */
const about = (value: number) => ({ value, low: value - 0.02, high: value + 0.02 });

const cases: [why: string, Question, QualityFigure[], short: string | undefined][] = [
  ["the interval reaches chance", "class", [{ ...asked, ...about(0.115) }], "chance"],
  ["above chance by little", "class", [{ ...asked, value: 0.155, low: 0.14, high: 0.171 }], "barely"],
  ["halfway", "class", [{ ...asked, ...about(0.7) }], "far"],
  ["close to real images", "class", [{ ...asked, ...about(0.95) }], "near"],
  ["the interval reaches real images", "class", [{ ...asked, ...about(0.98) }], "real"],
  ["better than real images", "class", [{ ...asked, value: 1, low: 0.995, high: 1 }], "real"],
  ["one class, in which guessing is always right", "class", [{
    ...asked,
    ...about(0.98),
    chance: 1,
    real: 1,
  }], undefined],
  ["no interval", "class", [{ ...asked, value: 0.5, low: 0.5, high: 0.5 }], "barely"],
  [
    "the judge that sees it least",
    "class",
    [{ ...asked, ...about(0.98), judge: "lenet" }, { ...asked, ...about(0.5), judge: "vgg" }],
    "barely",
  ],
  ["noise wins: no figure is left", "real", [{ ...precision, ...about(0.855) }], undefined],
  ["noise ties within the interval", "real", [{ ...precision, ...about(0.855), noise: 0.97 }], undefined],
  ["noise is left out beside others", "real", [{ ...precision, ...about(0.5) }, {
    ...coverage,
    ...about(0.97),
  }], "1/1"],
  [
    "one of two",
    "real",
    [{ ...distance, value: 20, low: 18, high: 22 }, { ...coverage, ...about(0.325) }],
    "1/2",
  ],
  ["no better than noise", "real", [{ ...coverage, ...about(0) }], "0/1"],
  ["better than real images", "real", [{ ...distance, value: 1, low: 0.5, high: 1.5 }], "1/1"],
  [
    "no value of real images",
    "real",
    [{ ...distance, ...about(20), real: undefined }] as QualityFigure[],
    undefined,
  ],
  ["between two judges, the worse", "real", [
    { ...coverage, ...about(0.97), judge: "lenet" },
    { ...coverage, ...about(0.5), judge: "vgg" },
  ], "0/1"],
  ["as far as real images", "copied", [{ ...authentic, ...about(0.89) }], "new"],
  ["nearer than real images", "copied", [{ ...authentic, ...about(0.8) }], "copied"],
  [
    "nothing to compare with",
    "copied",
    [{ ...authentic, ...about(0.8), real: undefined }] as QualityFigure[],
    undefined,
  ],
];

Deno.test("verdictOf() claims only what noise, guessing, real images and intervals allow", () => {
  for (const [why, question, figures, short] of cases) {
    assert.equal(verdictOf(question, figures)?.short, short, `${question}: ${why}`);
  }
});

Deno.test("verdictOf() names the values that it depends on", () => {
  const words = (question: Question, figures: QualityFigure[]) => verdictOf(question, figures)?.words;
  assert.equal(
    words("class", [{ ...asked, ...about(0.115), judge: "vgg" }]),
    "No better than by guessing: 11.5 % (9.5 to 13.5 %; guessing 10.0 %, real images 99.0 %) by vgg.",
  );
  assert.equal(
    words("real", [{ ...precision, ...about(0.855) }, { ...coverage, ...about(0.325) }]),
    "No figure reaches real images. Furthest off: Coverage, 32.5 % (30.5 to 34.5 %; real images 97.5 %, noise 0.0 %).",
  );
  assert.match(words("real", [{ ...coverage, ...about(0) }])!, /^No more than noise does\./);
});

Deno.test("noiseScoresWell() compares noise with real images, not with the samples", () => {
  const bad = { ...coverage, ...about(0), noise: 0.02 };
  assert.equal(noiseScoresWell(bad), false, "samples below noise do not make a figure useless");
  assert.equal(noiseScoresWell({ ...precision, ...about(0.9) }), true);
  assert.equal(noiseScoresWell({ ...distance, ...about(5), noise: 1 }), true);
  assert.equal(noiseScoresWell({ ...common, ...about(0.5), better: "real", real: 0.9, noise: 0.2 }), false);
});
