import assert from "node:assert/strict";
import { drawSamplesInBatches } from "../../../experiments/draw/samples.ts";
import { init, withDevice } from "../../../kernels/mod.ts";
import { createModel } from "../../../models/mod.ts";

const device = await init({ device: "cpu" });

Deno.test("drawSamplesInBatches() draws by sde on the linear path, and refuses it on another", async () => {
  const draw = (path: "linear" | "cosine") =>
    withDevice(device, () => {
      const model = createModel({ type: "UNet_FM", filters: [2, 4], tEmb: 4, path }, 3);
      const drawable = { model, normalization: { scale: 2, shift: -1 }, shape: [1, 4, 4] as const };
      const how = { solver: "sde", noise: 1, steps: 8 } as const;
      return drawSamplesInBatches(drawable, { count: 2, seed: 0 }, how, () => {});
    });
  assert.equal((await draw("linear")).evaluations, 8);
  await assert.rejects(
    () => draw("cosine"),
    /^RunError: Cannot draw samples by sde: the network is for the cosine path \(expected another solver\)$/,
  );
});
