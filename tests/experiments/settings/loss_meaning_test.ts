import assert from "node:assert/strict";
import { lossWarning } from "../../../experiments/settings/loss_meaning.ts";

Deno.test("lossWarning() names settings that make losses incomparable", () => {
  const run = {
    model: "base",
    normalize: "-1..1",
    conditional: false,
    path: "linear",
    times: "uniform",
    lr: 1,
  };
  assert.equal(lossWarning([run, { ...run, model: "residual", lr: 2 }]), undefined);
  assert.equal(
    lossWarning([run, { ...run, conditional: true }, {}]),
    "Losses of these runs are not comparable: --conditional is false or true",
  );
  assert.equal(lossWarning([run, {}]), undefined); // a run from another program
  assert.equal(
    lossWarning([run, { ...run, normalize: "0..1", times: { name: "logit_normal" } }, run]),
    'Losses of these runs are not comparable: --normalize is -1..1 or 0..1, --times is uniform or {"name":"logit_normal"}',
  );
  assert.equal(
    lossWarning([run, { ...run, times: "stratified" }]),
    "Training losses of these runs are not comparable, those of validation and test are: " +
      "--times is uniform or stratified",
  );
});
