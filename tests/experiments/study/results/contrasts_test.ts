import assert from "node:assert/strict";
import { contrastsOf } from "../../../../experiments/study/results/contrasts.ts";
import { setupsOf } from "../../../../experiments/study/results/setups.ts";
import type { CellSettings } from "../../../../experiments/study/plan.ts";
import { madeUp } from "./made_up_study.ts";

/** `setting: a | b` of the contrasts among setups. */
function contrastsAmong(...settings: CellSettings[]): string[] {
  const { cells, records } = madeUp(settings.map((settings) => ({ settings, frechet: [1, 2] })));
  return contrastsOf(setupsOf(cells, records)).map(({ setting, a, b }) =>
    `${setting}: ${a.label} | ${b.label}`
  );
}

Deno.test("contrastsOf() takes setups that differ in one choice", () => {
  assert.deepEqual(contrastsAmong({}, { coupling: "ot" }, { times: "uniform" }, { times: "stratified" }), [
    "coupling: ot | as the preset",
    "times: uniform | as the preset",
    "times: stratified | as the preset",
    "times: stratified | uniform",
  ]);
  assert.deepEqual(contrastsAmong({ groups: 1, share: 0.5 }, { groups: 2, share: 1 }), []);
});

Deno.test("contrastsOf() compares a matched network with the one that it matches", () => {
  const filters = "16,32,64";
  const contrasts = contrastsAmong(
    { model: "base", attn: false, filters },
    { model: "residual", attn: false, filters },
    { model: "residual", attn: true, filters },
    { model: "base", attn: false, match: "parameters", filters: "30,60,120" },
    { model: "base", attn: true, match: "parameters", filters: "32,64,128" },
    { model: "base", attn: false, match: "time", filters: "24,48,96" },
  );
  assert.deepEqual(contrasts, [
    "model: residual, no attn, [16,32,64] | base, no attn, [16,32,64]",
    "attn: residual, attn, [16,32,64] | residual, no attn, [16,32,64]",
    "model: base, no attn, [30,60,120], matched in parameters | residual, no attn, [16,32,64]",
    "model: base, attn, [32,64,128], matched in parameters | residual, attn, [16,32,64]",
    "attn: base, attn, [32,64,128], matched in parameters | base, no attn, [30,60,120], matched in parameters",
    "model: base, no attn, [24,48,96], matched in time | residual, no attn, [16,32,64]",
  ]);
});

Deno.test("setupsOf() puts the seeds of a setup together, whatever the order of settings", () => {
  const { cells, records } = madeUp([{ settings: { a: 1, b: true }, frechet: [1, undefined] }]);
  const [{ id, ...cell }] = cells;
  const all = [...cells, { ...cell, id: `${id}-more`, seed: 9, settings: { b: true, a: 1 } }];
  const setups = setupsOf(all, records);
  assert.deepEqual(setups.map(({ label, cells, records }) => [label, cells.length, records.length]), [
    ["as the preset", 3, 1],
  ]);
});
