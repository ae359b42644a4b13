import assert from "node:assert/strict";
import { between, drawStarts, findEnds, rootMeanSquare, shares } from "../../../experiments/morph/ends.ts";
import { randomNormal, tensor } from "../../../kernels/mod.ts";
import { createModel, guided, namedParameters, noise, Sampler, slerp } from "../../../models/mod.ts";
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

testOnDevices(
  "findEnds() finds noise that reconstructs test images in their own class",
  async () => {
    for (const classes of [0, 3]) {
      const subject = network(classes);
      const told: number[] = [];
      const { found, cost } = await findEnds(
        subject,
        [{ image: 2 }, { drawn: 4 }, { image: 0 }],
        test,
        options,
        (done) => void told.push(done),
      );
      assert.equal(cost?.evaluations, 64);
      assert.equal(told.at(-1), 2);
      assert.deepEqual(
        found.map(({ label }) => label),
        classes ? [1, 1, 2] : [undefined, undefined, undefined],
      );
      assert.deepEqual(found.map(({ image }) => image !== undefined), [true, false, true]);
      const { images } = await drawStarts(subject.drawable, found, options, () => {});
      const others = found.map(({ noise, label }) => ({
        noise,
        ...label !== undefined && { label: (label + 1) % 3 },
      }));
      const { images: underOthers } = await drawStarts(subject.drawable, others, options, () => {});
      for (const [n, number] of [[0, 2], [2, 0]]) {
        const expected = Float32Array.from(
          test.images.subarray(number * P, (number + 1) * P),
          (byte) => byte / 255,
        );
        assert.deepEqual(found[n].image, expected);
        assert.ok(rootMeanSquare(images[n], expected) < 1e-4, `${rootMeanSquare(images[n], expected)}`);
        assert.equal(rootMeanSquare(underOthers[n], expected) > 1e-3, classes > 0);
        assert.ok(
          largestDifference(
            found[n].noise,
            expected.map((pixel) => 2 * pixel - 1),
          ) > 1e-3,
        );
      }
    }
  },
);

testOnDevices("findEnds() draws noise by seed, and gives noise n class n modulo the classes", async () => {
  const subject = network(3);
  const { found, cost } = await findEnds(
    subject,
    [{ drawn: 0 }, { drawn: 4 }],
    { images: new Uint8Array() },
    options,
    () => {},
  );
  assert.equal(cost, undefined);
  const x0 = await noise(7, [5, 1, 4, 4]).read();
  assert.deepEqual(found, [
    { noise: x0.slice(0, P), label: 0 },
    { noise: x0.slice(4 * P), label: 1 },
  ]);
});

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

Deno.test("between() interpolates on the arc, with the class of the nearer end", () => {
  const starts = between(from, to, 5);
  assert.deepEqual(starts.map(({ label }) => label), [3, 3, 3, 8, 8]);
  assert.deepEqual(starts.map(({ noise }) => noise), shares(5).map((s) => slerp(from.noise, to.noise, s)));
  assert.deepEqual([starts[0], starts[4]], [from, to]);
});

Deno.test("between() sets no class if its ends have none", () => {
  for (const start of between({ noise: from.noise }, { noise: to.noise }, 2)) {
    assert.deepEqual(Object.keys(start), ["noise"]);
  }
});
