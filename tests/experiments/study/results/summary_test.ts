import assert from "node:assert/strict";
import { contrastsOf, setupsOf, sharedSeed } from "../../../../experiments/study/results/summary.ts";
import type { CellSettings } from "../../../../experiments/study/plan.ts";
import { madeUp } from "./made_up_study.ts";

/** `setting: a | b` of the contrasts among setups, which differ as the plan says. */
function contrastsAmong(
  complete: CellSettings,
  ...all: (readonly [CellSettings, CellSettings?])[]
): string[] {
  const { cells, results } = madeUp(
    all.map(([asked, more]) => ({ asked, settings: { ...complete, ...asked, ...more }, frechet: [1, 2] })),
  );
  return contrastsOf(setupsOf(cells, results)).map(({ setting, a, b }) =>
    `${setting}: ${a.label} | ${b.label}`
  );
}

Deno.test("contrastsOf() takes setups that differ in one choice", () => {
  const usual = { coupling: "independent", times: "logit_normal" };
  const among = contrastsAmong(usual, [{}], [{ coupling: "ot" }], [{ times: "uniform" }], [{
    times: "stratified",
  }]);
  assert.deepEqual(among, [
    "coupling: ot | the preset",
    "times: uniform | the preset",
    "times: stratified | the preset",
    "times: stratified | uniform",
  ]);
  assert.deepEqual(contrastsAmong({}, [{ groups: 1, share: 0.5 }], [{ groups: 2, share: 1 }]), []);
  // The groups of a network without normalisation are the usual ones, whatever the plan fixes.
  assert.deepEqual(
    contrastsAmong({ groups: 4 }, [{ model: "base" }, { groups: 8 }], [{ model: "residual" }]),
    [
      "model: residual | base",
    ],
  );
});

Deno.test("contrastsOf() compares a width, and a share of the budget, with the next", () => {
  const { cells, results } = madeUp(
    [["8,16", 1000], ["24,48", 9000], ["16,32", 4000]].flatMap(([filters, parameters]) =>
      [0.25, 1, 0.5].map((share) => ({
        settings: { filters, share },
        frechet: [1],
        parameters: Number(parameters),
      }))
    ),
  );
  const contrasts = contrastsOf(setupsOf(cells, results)).map(({ a, b }) =>
    [a.label, b.label].sort().join(" | ")
  );
  for (const share of ["0.25", "0.5", "1"]) {
    const ofShare = contrasts.filter((names) =>
      names.match(/share [\d.]+/g)!.every((name) => name === `share ${share}`)
    );
    assert.deepEqual(ofShare, [
      `[16,32], share ${share} | [8,16], share ${share}`,
      `[16,32], share ${share} | [24,48], share ${share}`,
    ]);
  }
  assert.ok(contrasts.includes("[8,16], share 0.25 | [8,16], share 0.5"));
  assert.ok(!contrasts.includes("[8,16], share 0.25 | [8,16], share 1"));
  assert.equal(contrasts.length, 12);
});

Deno.test("contrastsOf() compares a matched network with the one that it matches", () => {
  const contrasts = contrastsAmong(
    { filters: "16,32,64", match: "none" },
    [{ model: "base", attn: false }],
    [{ model: "residual", attn: false }],
    [{ model: "residual", attn: true }],
    [{ model: "base", attn: false, match: "parameters" }, { filters: "30,60,120" }],
    [{ model: "base", attn: true, match: "parameters" }, { filters: "32,64,128" }],
    [{ model: "base", attn: false, match: "time" }, { filters: "24,48,96" }],
  );
  assert.deepEqual(contrasts, [
    "model: residual, no attn | base, no attn",
    "attn: residual, attn | residual, no attn",
    "model: base, no attn, equal parameters | residual, no attn",
    "model: base, attn, equal parameters | residual, attn",
    "attn: base, attn, equal parameters | base, no attn, equal parameters",
    "model: base, no attn, equal time | residual, no attn",
  ]);
});

Deno.test("setupsOf() puts the seeds of a setup together, whatever the order of settings", () => {
  const { cells, results } = madeUp([{ settings: { a: 1, b: true }, frechet: [1, undefined] }]);
  const [{ id, ...cell }] = cells;
  const all = [...cells, { ...cell, id: `${id}-more`, seed: 9, settings: { b: true, a: 1 } }];
  const setups = setupsOf(all, results);
  assert.deepEqual(setups.map(({ label, cells, results }) => [label, cells.length, results.length]), [
    ["the preset", 3, 1],
  ]);
});

Deno.test("sharedSeed() is that of most finished runs, of several the first", () => {
  const seedOf = (...frechet: (number | undefined)[][]) => {
    const { cells, results } = madeUp(
      frechet.map((values, i) => ({ settings: { groups: i }, frechet: values })),
    );
    return sharedSeed(setupsOf(cells, results));
  };
  assert.equal(seedOf([1, 2], [1, 2]), 1);
  assert.equal(seedOf([1, 2], [undefined, 2]), 2);
  assert.equal(seedOf([undefined], [undefined]), undefined);
});

Deno.test("setupsOf() gives setups of a damaged study that look the same labels of their own", () => {
  const cell = { asked: { model: "base" }, steps: 1, parameters: 1, multiplyAdds: 1 };
  const cells = ["8,16", "8,17"].map((filters, i) => ({
    ...cell,
    id: `base-s${i}`,
    seed: i,
    settings: { model: "base", filters },
  }));
  assert.deepEqual(setupsOf(cells, []).map(({ label }) => label), ["the preset", "the preset (2)"]);
});
