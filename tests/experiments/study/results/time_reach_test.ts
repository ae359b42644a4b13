import assert from "node:assert/strict";
import { levelsOf } from "../../../../experiments/study/results/levels.ts";
import { timeReach } from "../../../../experiments/study/results/time_reach.ts";
import { init, tensor, withDevice } from "../../../../kernels/mod.ts";
import {
  createModel,
  type Model,
  type ModelOptions,
  modelTypes,
  namedParameters,
  noise,
} from "../../../../models/mod.ts";
import { withLabels } from "../../../../models/nn/embeddings.ts";
import { assertClose, testOnDevices } from "../../../testing.ts";

const size = [1, 8, 8] as const;
const examples = {
  shape: [4, ...size] as const,
  image: Float32Array.from({ length: 4 * 64 }, (_, i) => (i * 37 % 101) / 100),
  labels: [0, 1, 2, 0],
};
const normalization = { scale: 2, shift: -1 };
const device = await init({ device: "cpu" });

/** An untrained network whose attention does something. */
function networkOf(options: Partial<ModelOptions>): Model {
  const model = createModel(
    { type: "UNet_FM_Residuals", filters: [4, 8], tEmb: 8, groups: 4, attn: true, ...options },
    5,
  );
  for (const [name, parameter] of namedParameters(model)) {
    if (name.includes("final.weight")) {
      parameter.write(Float32Array.from({ length: parameter.size }, (_, i) => Math.sin(i)));
    }
  }
  return model;
}

const reachOf = (options: Partial<ModelOptions>) =>
  withDevice(
    device,
    () => timeReach({ model: networkOf(options), normalization, shape: [...size] }, examples),
  );

for (const type of modelTypes) {
  testOnDevices(`levelsOf() runs ${type} as its velocity does`, async () => {
    for (const attn of [true, false]) {
      const model = networkOf({ type, attn, classes: 3, filters: [4, 8, 8] });
      const [xt, t] = [noise(1, [3, ...size]), tensor([0.2, 0.5, 0.9])];
      const condition = tensor(Uint32Array.of(0, 2, 3));
      const { time_mlp, label_emb } = model as never as {
        time_mlp: { forward(x: typeof t): typeof t };
        label_emb: Parameters<typeof withLabels>[0];
      };
      const embedding = withLabels(label_emb, time_mlp.forward(t), condition);
      const net = levelsOf(model)!;
      const passed: string[] = [];
      const output = net.run(xt, {
        embedding: () => embedding,
        attention: true,
        passed: (level) => passed.push(level),
      });
      assertClose(await output.read(), await model.velocity(xt, t, condition).read(), 1e-6);
      assert.deepEqual(
        passed.filter((name) => name !== "attention"),
        net.levels.map(({ name }) => name),
      );
      assert.equal(passed.includes("attention"), attn);
    }
  });
}

Deno.test("timeReach() finds no effect of a shift before a GroupNorm with one channel a group", async () => {
  const { levels, time } = (await reachOf({}))!;
  const [outer, inner, middle, up] = levels;
  assert.deepEqual(levels.map(({ level }) => level), ["down 1", "down 2", "middle", "up 1"]);
  assert.deepEqual(levels.map(({ perGroup }) => perGroup), [1, 2, 2, 1]);
  for (const { passes, image, output } of [outer, up]) {
    assert.equal(passes, 0);
    assert.ok(image < 1e-5 && output < 1e-5, `${image} ${output}`);
  }
  for (const { passes, image, output } of [inner, middle]) {
    assert.ok(passes > 0.2 && passes < 1, `${passes}`);
    assert.ok(image > 1e-3 && output > 1e-4, `${image} ${output}`);
  }
  assert.ok(time > 1e-3);
});

Deno.test("timeReach() finds the effect where groups have two channels, or there is no normalisation", async () => {
  const [outer] = (await reachOf({ groups: 2 }))!.levels;
  assert.equal(outer.perGroup, 2);
  assert.ok(outer.image > 1e-3, `${outer.image}`);
  const base = (await reachOf({ type: "UNet_FM" }))!;
  assert.deepEqual(base.levels.map(({ level }) => level), ["down 1", "down 2", "up 1"]);
  for (const { passes, image, output, perGroup } of base.levels) {
    assert.deepEqual([passes, perGroup], [1, undefined]);
    assert.ok(image > 1e-3 && output > 1e-3, `${image} ${output}`);
  }
});

Deno.test("timeReach() tells what attention does, of networks that have it", async () => {
  const { attention } = (await reachOf({ classes: 3 }))!;
  assert.ok(attention!.image > 1e-3 && attention!.output > 1e-4, JSON.stringify(attention));
  assert.equal((await reachOf({ attn: false }))!.attention, undefined);
  const none = await withDevice(device, () => {
    const untrained = createModel({ type: "UNet_FM", filters: [4, 8], tEmb: 8, groups: 4, attn: true }, 5);
    const drawable = { model: untrained, normalization, shape: [...size] as [number, number, number] };
    return timeReach(drawable, examples);
  });
  assert.deepEqual(none!.attention, { image: 0, output: 0 }, "a new block is the identity");
});
