import assert from "node:assert/strict";
import { findEnds } from "../../../experiments/morph/ends.ts";
import { drawStarts, rootMeanSquare } from "../../../experiments/morph/morph.ts";
import { createModel, namedParameters, noise } from "../../../models/mod.ts";
import { largestDifference, testOnDevices } from "../../testing.ts";

const P = 16;
const options = {
  seed: 7,
  guidance: { scale: 1.5 },
  how: { method: "fixed", solver: "rk4", steps: 16 },
} as const;
const test = {
  images: Uint8Array.from({ length: 3 * P }, (_, i) => i * 37 % 256),
  labels: Uint8Array.of(2, 0, 1),
  count: 3,
};

/** An untrained network, whose classes differ much. */
function network(classes: number) {
  const model = createModel({ type: "UNet_FM", filters: [4, 8], tEmb: 4, groups: 4, classes }, 3);
  namedParameters(model).get("label_emb.weight")?.write(
    Float32Array.from({ length: (classes + 1) * 4 }, (_, i) => 3 * Math.sin(7 * i)),
  );
  return { drawable: { model, normalization: { scale: 2, shift: -1 }, shape: [1, 4, 4] }, classes } as const;
}

testOnDevices(
  "findEnds() finds the noise from which test images come back under their own class",
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
      const { images } = await drawStarts(subject, found, options, () => {});
      const others = found.map(({ noise, label }) => ({
        noise,
        ...label !== undefined && { label: (label + 1) % 3 },
      }));
      const { images: underOthers } = await drawStarts(subject, others, options, () => {});
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

testOnDevices("findEnds() draws noise by the seed, that of number n in turn under class n", async () => {
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
