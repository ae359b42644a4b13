import assert from "node:assert/strict";
import { between, findEnds, shares } from "../../../experiments/draw/ends.ts";
import { randomNormal, tensor } from "../../../kernels/mod.ts";
import { createModel, guided, namedParameters, Sampler, slerp } from "../../../models/mod.ts";
import { streams } from "../../../models/random.ts";
import { assertClose, largestDifference, testOnDevices } from "../../testing.ts";

const P = 16;
const options = {
  seed: 7,
  entry: 1,
  guidance: { scale: 1.5 },
  how: { solver: "rk4", steps: 16 },
} as const;
const test = {
  images: Uint8Array.from({ length: 3 * P }, (_, i) => i * 37 % 256),
  labels: Uint8Array.of(2, 0, 1),
  count: 3,
};

/** An untrained network with very different classes. */
function network(classes: number) {
  const model = createModel({ type: "UNet_FM", filters: [4, 8], tEmb: 4, groups: 4, classes }, 3);
  namedParameters(model).get("label_emb.weight")?.write(
    Float32Array.from({ length: (classes + 1) * 4 }, (_, i) => 3 * Math.sin(7 * i)),
  );
  return { drawable: { model, normalization: { scale: 2, shift: -1 }, shape: [1, 4, 4] }, classes } as const;
}

testOnDevices("findEnds() maps images to noise from their entry time", async () => {
  const subject = network(3);
  const ends = [{ image: 1 }, { image: 2 }];
  const early = { ...options, entry: 0.9 };
  const { found, cost } = await findEnds(subject, ends, test, early, () => {});
  assert.equal(cost?.evaluations, 64);
  // At the entry time, the sample is one tenth noise and nine tenths image.
  const x0 = tensor(Float32Array.from(found.flatMap(({ noise }) => [...noise])), [2, 1, 4, 4]);
  const sampler = new Sampler(
    guided(subject.drawable.model, { scale: 1.5, none: 3 }),
    [2, 1, 4, 4],
    {
      solver: "rk4",
      times: Array.from({ length: 17 }, (_, i) => 0.9 * i / 16),
      condition: tensor(Uint32Array.of(0, 1)),
    },
  );
  const xt = await sampler.run(x0).read();
  const mixed = found.flatMap(({ image }, n) =>
    [...image!].map((pixel, p) => (xt[n * P + p] - 0.9 * (2 * pixel - 1)) / 0.1)
  );
  const { found: others } = await findEnds(subject, ends, test, { ...early, seed: 8 }, () => {});
  assert.ok(largestDifference(found[0].noise, others[0].noise) > 0.1);
  const expected = await randomNormal(tensor(Uint32Array.of(7, streams.entries, 0)), [2, P]).read();
  assertClose(mixed, expected, 1e-2);
});

const from = { noise: Float32Array.of(1, 0), label: 3 };
const to = { noise: Float32Array.of(0, 2), label: 8 };

Deno.test("between() interpolates along the arc, with the class of the nearer end if there are classes", () => {
  const starts = between(from, to, 5);
  assert.deepEqual(starts.map(({ label }) => label), [3, 3, 3, 8, 8]);
  assert.deepEqual(starts.map(({ noise }) => noise), shares(5).map((s) => slerp(from.noise, to.noise, s)));
  assert.deepEqual([starts[0], starts[4]], [from, to]);
  for (const start of between({ noise: from.noise }, { noise: to.noise }, 2)) {
    assert.deepEqual(Object.keys(start), ["noise"]);
  }
});
