import assert from "node:assert/strict";
import { nearest, rejectUnknown, unknownName } from "../../models/names.ts";

Deno.test("nearest() finds misspelt names in any case, and ignores unrelated ones", () => {
  assert.equal(nearest("AdamW", ["sgd", "adam", "adamw"]), "adamw");
  assert.equal(nearest("unet_fm", ["UNet_FM", "UNet_FM_Residuals"]), "UNet_FM");
  assert.equal(nearest("warmup", ["lr", "warm-up"]), "warm-up");
  assert.equal(nearest("dropout", ["lr", "warm-up"]), undefined);
  assert.equal(nearest("lr", []), undefined);
});

Deno.test("unknownName() suggests a name only if one is near", () => {
  assert.equal(
    unknownName("solver", "huen", ["euler", "heun"]),
    'Unknown solver "huen": did you mean "heun"? (known: euler, heun)',
  );
  assert.equal(
    unknownName("solver", "dopri", ["euler", "heun"]),
    'Unknown solver "dopri" (known: euler, heun)',
  );
});

Deno.test("rejectUnknown() names what the setting belongs to", () => {
  rejectUnknown({ lr: 1 }, ["lr", "beta"], "a run");
  assert.throws(() => rejectUnknown({ lr: 1, betta: 2 }, ["lr", "beta"], "a run"), {
    name: "TypeError",
    message: 'Unknown setting "betta" of a run: did you mean "beta"? (known: lr, beta)',
  });
});
