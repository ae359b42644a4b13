import assert from "node:assert/strict";
import {
  conclude,
  passagesOf,
  passageText,
  type RuleName,
} from "../../../../experiments/study/results/conclusion.ts";
import type { ReachSummary } from "../../../../experiments/study/results/reach_summary.ts";
import { type MadeUpSetup, plan, summaryOf, twoNetworks } from "./made_up_study.ts";

/** What each rule says of made-up setups. */
function said(setups: readonly MadeUpSetup[], reach: readonly ReachSummary[] = [], of = plan) {
  const sentences = conclude({ plan: of, summary: summaryOf(setups), reach });
  return (rule: RuleName) => sentences.filter((sentence) => sentence.rule === rule).map(({ text }) => text);
}

Deno.test("conclude() tells a clear difference, how it compares with seeds, and what it costs", () => {
  const of = said(twoNetworks);
  assert.deepEqual(of("scope"), [
    "Study networks: 2 setups with 3 seeds each, trained for 1,000 steps; all 6 runs are finished.",
  ]);
  // python3 -c "from scipy import stats as s; print(s.ttest_rel([14.1, 15.4, 13], [24, 25.1, 23.9]).confidence_interval())"
  assert.deepEqual(of("told"), [
    "residual against base: Fréchet distance lower by 10.2 (8.6 to 11.8, 3 seeds), 10 times what another seed changes, " +
    "at 4.6 times the arithmetic and 4 times the parameters.",
  ]);
  // python3 -c "from statistics import stdev; print(stdev([24, 25.1, 23.9]), stdev([14.1, 15.4, 13]))"
  assert.deepEqual(of("seeds"), [
    "Another seed changes the Fréchet distance by 0.67 to 1.2 (standard deviation).",
  ]);
  assert.deepEqual([of("untold"), of("noInterval"), of("chance")], [[], [], []]);
  assert.match(
    of("limits")[0],
    /^Not varied, .* preset quick, MNIST, \[8,16\], 1,000 steps of training \(32,000 images\) and 500 samples\.$/,
  );
});

Deno.test("conclude() says by what samples were drawn where the plan fixes it", () => {
  const limits = (evaluation: typeof plan.evaluation) => {
    const fixed = { solver: "euler", sampleSteps: 2, flowSteps: 9 };
    return said(twoNetworks, [], { ...plan, fixed, evaluation })("limits")[0];
  };
  assert.match(limits(plan.evaluation), /MNIST, euler, sampleSteps 2, 1,000 steps .* and 500 samples\.$/);
  const solver = "heun:steps=8";
  assert.match(
    limits({ ...plan.evaluation, solver }),
    /MNIST, 1,000 steps .* and 500 samples by heun:steps=8\.$/,
  );
});

Deno.test("conclude() says what cannot be told, and how large it may be", () => {
  const of = said([twoNetworks[0], {
    ...twoNetworks[0],
    settings: { model: "residual" },
    frechet: [26, 23, 24.5],
  }]);
  assert.deepEqual(of("told"), []);
  // python3 -c "from scipy import stats as s; print(s.ttest_rel([26, 23, 24.5], [24, 25.1, 23.9]).confidence_interval())"
  assert.deepEqual(of("untold"), [
    "residual against base: Fréchet distance −5.0 to 5.3.",
    "Each may be as large as its interval allows. Half the width is about 5.2; more seeds would narrow them.",
  ]);
  assert.deepEqual(of("chance"), [], "nothing stands out that could be chance");
});

Deno.test("conclude() concludes nothing from one seed", () => {
  const of = said(twoNetworks.map(({ frechet, ...setup }) => ({ ...setup, frechet: frechet.slice(0, 1) })));
  assert.deepEqual(of("noInterval"), [
    "All differences come from one seed: what another seed would change is unknown, so nothing is concluded from them.",
  ]);
  assert.deepEqual([of("told"), of("untold"), of("seeds"), of("chance")], [[], [], [], []]);
});

Deno.test("conclude() takes the seeds that both have, and names the setups that lack runs", () => {
  const of = said([twoNetworks[0], { ...twoNetworks[1], frechet: [undefined, 15.4, 13] }]);
  assert.match(of("scope")[0], /; 5 of 6 runs are finished\.$/);
  assert.equal(of("scope")[1], "What follows is preliminary, as runs are missing of residual (2 of 3).");
  assert.match(of("told")[0], /^residual against base: .* lower by 10\.3 \(2\.7 to 17\.9, 2 seeds\)/);
  const uneven = said([twoNetworks[0], { ...twoNetworks[1], frechet: [14, 15] }]);
  assert.match(uneven("scope")[0], /: 2 setups with 2 to 3 seeds each, /);
  const none = said(twoNetworks.map((setup) => ({ ...setup, frechet: [undefined, undefined] })));
  assert.match(none("scope")[0], /; 0 of 4 runs are finished\.$/);
  assert.deepEqual([none("told"), none("untold"), none("noInterval"), none("seeds")], [[], [], [], []]);
});

Deno.test("conclude() counts its differences together", () => {
  const of = said([
    { settings: { groups: 1 }, frechet: [20, 21, 22] },
    { settings: { groups: 2 }, frechet: [20.1, 21.3, 21.9] },
    { settings: { groups: 4 }, frechet: [10, 11.1, 12.05] },
  ]);
  assert.equal(of("told").length, 2);
  assert.deepEqual(of("chance"), [
    "3 differences were looked at, of which about 0.15 would exclude 0 by chance alone; of the 2 that do, all hold when " +
    "all are counted together (Holm).",
  ]);
  // python3 -c "from scipy.stats import ttest_rel as t; a, b, c = [20.7, 19.1, 20.7], [23, 22, 22.7], [24, 24.2, 23.2]; print(t(b, a).pvalue, t(c, a).pvalue, t(c, b).pvalue)"
  const doubtful = said([ // 0.012 is at most 0.05 / 3, but 0.042 above 0.05 / 2
    { settings: { groups: 1 }, frechet: [20.7, 19.1, 20.7] },
    { settings: { groups: 2 }, frechet: [23, 22, 22.7] },
    { settings: { groups: 4 }, frechet: [24, 24.2, 23.2] },
  ]);
  assert.deepEqual([doubtful("told").length, doubtful("untold").length], [2, 2]);
  assert.match(
    doubtful("chance")[0],
    /; of the 2 that do, these hold when all are counted together \(Holm\): groups 2 against groups 1\.$/,
  );
});

Deno.test("conclude() says what is left of a gap where networks are given as much", () => {
  const matched = (match: string, filters: string, ...frechet: number[]): MadeUpSetup => ({
    ...{ asked: { model: "base", match }, settings: { model: "base", match, filters }, frechet },
  });
  const given = twoNetworks.map(({ settings, ...setup }) => ({
    ...{ ...setup, asked: settings, settings: { ...settings, match: "none", filters: "8,16" } },
  }));
  const widened = [
    matched("parameters", "16,32", 18, 18.7, 17.2),
    matched("arithmetic", "24,48", 13.9, 15.5, 12.6),
  ];
  assert.deepEqual(said([...given, ...widened])("gap"), [
    "Base is behind residual in Fréchet distance by 10.2 (8.6 to 11.8) at the same widths, 3.8 (2.7 to 4.9) at equal " +
    "parameters and \u22120.17 (\u22120.79 to 0.46) at equal arithmetic; at the same widths residual takes 4.6 times the " +
    "arithmetic and 4 times the parameters of base.",
  ]);
  assert.deepEqual(said(given)("gap"), [], "nothing was matched");
  assert.deepEqual(
    said([given[0], { ...given[1], frechet: [20, 30, 25] }, ...widened])("gap"),
    [],
    "no gap is told",
  );
});

Deno.test("conclude() says where time reaches the first level, and what attention does", () => {
  const level = { level: "down 1", channels: 8, output: 0 };
  const reached = (label: string, image: number, passes: number, perGroup?: number): ReachSummary => ({
    ...{ label, runs: 3, time: 0.5 },
    levels: [{ ...level, image, passes, ...perGroup && { perGroup } }],
  });
  const of = said(twoNetworks, [
    reached("base", 0.31, 1),
    reached("residual", 0.084, 0.7, 2),
    { ...reached("groups 8", 4e-7, 0, 1), attention: { image: 0.21, output: 0.033 } },
  ]);
  assert.deepEqual(of("unreached"), [
    "Time does not reach down 1 of groups 8: with the embedding of another time there, the image changes by less than 0.01 %, " +
    "as a normalisation with one channel a group cancels a shift of the channel.",
  ]);
  assert.deepEqual(of("firstLevel"), [
    "The embedding of another time at down 1 of base changes the image there by 31 % (no normalisation).",
    "The embedding of another time at down 1 of residual changes the image there by 8.4 % " +
    "(2 channels a group let 70 % of the shift through).",
  ]);
  assert.deepEqual(of("attention"), [
    "Attention in groups 8 adds 21 % to its image (root mean square); left out of the trained network, it changes the " +
    "output by 3.3 %.",
  ]);
});

Deno.test("passagesOf() lists what is said of a topic below its heading", () => {
  const passages = passagesOf(conclude({ plan, summary: summaryOf(twoNetworks), reach: [] }));
  assert.equal(passages.length, 3, "topics without sentences are left out");
  assert.match(passageText(passages[0]), /^Study networks: .*\. Another seed changes .*\.$/);
  assert.match(
    passageText(passages[1]),
    /^Differences whose 95 % intervals exclude 0:\n\n- residual against base: [^\n]*\.$/,
  );
  assert.match(passageText(passages[2]), /^Not varied, /);
});
