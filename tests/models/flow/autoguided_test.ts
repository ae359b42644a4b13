import assert from "node:assert/strict";
import { tensor } from "../../../kernels/mod.ts";
import { autoguided, createModel, noise, sample } from "../../../models/mod.ts";
import { assertClose, testOnDevices } from "../../testing.ts";

const shape = [3, 1, 8, 8];

/** Two untrained networks, and points to ask them at. */
function networks() {
  const [model, weaker] = [7, 8].map((seed) => {
    return createModel({ type: "UNet_FM_Residuals", filters: [4, 8], tEmb: 6, groups: 2 }, seed);
  });
  return { model, weaker, x: noise(1, shape), t: tensor(Float32Array.of(0, 0.5, 0.9)) };
}

testOnDevices(
  "autoguided() goes on from the weaker field to the field, and is the field at scale 1",
  async () => {
    const { model, weaker, x, t } = networks();
    const strong = await model.velocity(x, t).read();
    const weak = await weaker.velocity(x, t).read();
    assert.notDeepEqual(strong, weak);
    const at = (scale: number) => autoguided(model, weaker, scale).velocity(x, t).read();
    assert.deepEqual(await at(1), strong);
    assert.deepEqual(await at(0), weak);
    for (const scale of [-1, 0.5, 2, 3]) {
      assertClose(await at(scale), strong.map((v, i) => weak[i] + scale * (v - weak[i])), 1e-5);
    }
  },
);

testOnDevices(
  "autoguided() says whether it changes the velocity, and refuses scales that are not finite",
  () => {
    const { model, weaker } = networks();
    assert.equal(autoguided(model, weaker, 2).guided, true);
    assert.equal(autoguided(model, weaker, 1).guided, undefined);
    for (const scale of [NaN, Infinity]) {
      assert.throws(() => autoguided(model, weaker, scale), {
        name: "RangeError",
        message: `Cannot guide with scale ${scale} (expected a finite number)`,
      });
    }
  },
);

testOnDevices(
  "sample() follows an autoguided field: a network guided away from itself is itself",
  async () => {
    const { model, weaker } = networks();
    const drawn = (field: Parameters<typeof sample>[0]) =>
      sample(field, { count: 2, shape: shape.slice(1), seed: 3, steps: 3, solver: "heun" }).read();
    const plain = await drawn(model);
    assertClose(await drawn(autoguided(model, model, 3)), plain, 1e-5);
    assert.notDeepEqual(await drawn(autoguided(model, weaker, 3)), plain);
  },
);
