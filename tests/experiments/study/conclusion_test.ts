import assert from "node:assert/strict";
import type { Plan } from "../../../experiments/study/plan.ts";
import { conclude } from "../../../experiments/study/conclusion.ts";
import { type MadeUpSetup, plan, summaryOf, twoNetworks } from "./made_up_study.ts";

function concluded(setups: readonly MadeUpSetup[], of: Plan = plan) {
  const passages = conclude(of, summaryOf(setups));
  const items = (topic: string) =>
    passages.flatMap((passage) =>
      typeof passage !== "string" && passage.heading.includes(topic) ? passage.items : []
    );
  return {
    passages,
    progress: passages[0],
    fixed: `${passages.at(-1)}`,
    differs: items("what differs"),
    inconclusive: items("inconclusive"),
  };
}

Deno.test("conclude() states the size, interval, Holm's mark and cost of a clear difference", () => {
  // python3 -c "from scipy import stats as s; print(s.ttest_rel([14.1, 15.4, 13], [24, 25.1, 23.9]).confidence_interval())"
  const { differs, fixed, passages } = concluded([twoNetworks[1], twoNetworks[0]]); // golden_table.txt has the reverse
  assert.deepEqual(differs, [
    "base against residual: higher by 10.2 (8.6 to 11.8, 3 seeds)*, at 0.22 times the arithmetic and 0.25 times the parameters",
  ]);
  assert.deepEqual([passages.length, passages.at(-1)], [3, fixed], "no passage is empty");
});

Deno.test("conclude() lists what was held fixed: solver, guidance, data and length", () => {
  const more = { count: 1500, solver: "heun:steps=8", guidance: 1 };
  const { fixed } = concluded(twoNetworks, {
    ...plan,
    fixed: { batchSize: 8, attn: false },
    budget: { minutes: 2.5 },
    evaluation: { ...plan.evaluation, ...more },
  });
  assert.equal(
    fixed,
    "Held fixed: preset quick, MNIST, batchSize 8, no attn, 2.5 minutes of training (32,000 images), " +
      "1,500 samples by heun:steps=8 at guidance 1. Another machine would train on more or fewer images in the same minutes.",
  );
  const varied = concluded(["a", "b"].map((data) => ({ settings: { data }, frechet: [1, 2] })));
  assert.doesNotMatch(varied.fixed, /MNIST/);
});

Deno.test("conclude() states the interval of an inconclusive difference, and concludes nothing from one seed", () => {
  const [base] = twoNetworks;
  const residual = { ...base, settings: { model: "residual" }, frechet: [26, 23, 24.5] };
  const open = concluded([base, residual]);
  // python3 -c "from scipy import stats as s; print(s.ttest_rel([26, 23, 24.5], [24, 25.1, 23.9]).confidence_interval())"
  assert.deepEqual([open.differs, open.inconclusive], [[], ["residual against base: −5.0 to 5.3"]]);
  const one = concluded(twoNetworks.map((setup) => ({ ...setup, frechet: setup.frechet.slice(0, 1) })));
  assert.deepEqual(one.differs, []);
  assert.match(one.inconclusive.join(), /^residual against base: one seed, no interval, at 4\.6 times /);
});

Deno.test("conclude() compares the seeds that both setups have, and names setups that lack runs", () => {
  const { progress, differs } = concluded([
    twoNetworks[0],
    { ...twoNetworks[1], frechet: [undefined, 15.4, 13] },
  ]);
  assert.equal(
    progress,
    "Study networks: 2 setups, 5 of 6 runs finished. Preliminary: residual has 2 of 3 runs.",
  );
  assert.match(differs[0], /^residual against base: lower by 10\.3 \(2\.7 to 17\.9, 2 seeds\)/);
  const none = concluded(twoNetworks.map((setup) => ({ ...setup, frechet: [undefined, undefined] })));
  assert.match(`${none.progress}`, / 0 of 4 runs finished\./);
  assert.equal(none.passages.length, 2);
});

Deno.test("conclude() marks the differences that remain after Holm's correction", () => {
  const clear = concluded([
    { settings: { groups: 1 }, frechet: [20, 21, 22] },
    { settings: { groups: 2 }, frechet: [20.1, 21.3, 21.9] },
    { settings: { groups: 4 }, frechet: [10, 11.1, 12.05] },
  ]);
  assert.deepEqual(clear.differs.map((line) => line.endsWith("*")), [true, true]);
  assert.match(Object(clear.passages[1]).heading, / for 3 comparisons\)$/);
  // python3 -c "from scipy.stats import ttest_rel as t; a, b, c = [20.7, 19.1, 20.7], [23, 22, 22.7], [24, 24.2, 23.2]; print(t(b, a).pvalue, t(c, a).pvalue, t(c, b).pvalue)"
  const doubtful = concluded([ // 0.012 is at most 0.05 / 3, but 0.042 above 0.05 / 2
    { settings: { groups: 1 }, frechet: [20.7, 19.1, 20.7] },
    { settings: { groups: 2 }, frechet: [23, 22, 22.7] },
    { settings: { groups: 4 }, frechet: [24, 24.2, 23.2] },
  ]);
  assert.deepEqual(doubtful.differs.map((line) => [line.slice(0, 25), line.endsWith("*")]), [
    ["groups 2 against groups 1", true],
    ["groups 4 against groups 1", false],
  ]);
  assert.equal(doubtful.inconclusive.length, 1);
});

Deno.test("conclude() does not compare losses with different meanings, or setups with different data", () => {
  const trainedOn = (settings: MadeUpSetup["settings"], digest: string): MadeUpSetup => ({
    settings: { data: "a", coupling: "independent", ...settings },
    frechet: [20, 21],
    more: () => ({
      figures: { velocity_error: 0.2 + Number(settings.tEmb) },
      dataset: { name: "digits", digest },
    }),
  });
  const setups = [
    trainedOn({ tEmb: 8 }, "12"),
    trainedOn({ tEmb: 16 }, "12"),
    trainedOn({ tEmb: 8, coupling: "ot" }, "12"),
    trainedOn({ tEmb: 8, data: "b" }, "34"),
  ];
  const { passages, differs, inconclusive } = concluded(setups);
  assert.deepEqual(differs.map((line) => line.split(":")[0]), [
    "a, independent, tEmb 16 against a, independent, tEmb 8",
  ]);
  assert.deepEqual(inconclusive, []);
  assert.equal(
    passages.at(-2),
    "Losses of these runs are not comparable (different data sets: digits (12), digits (34); " +
      "--coupling is independent or ot). " +
      "Setups with different data are not compared.",
  );
});
