import assert from "node:assert/strict";
import { multiply, type Tensor, tensor, zeros } from "../../../kernels/mod.ts";
import {
  autoguided,
  batchSource,
  cosinePath,
  CountedField,
  createModel,
  fit,
  flowMatching,
  guided,
  HeldOutLoss,
  logLikelihood,
  Module,
  predicting,
  Sampler,
  solveFlow,
  type VelocityField,
  velocityPrediction,
} from "../../../models/mod.ts";
import { testOnDevices } from "../../testing.ts";

const shape = [2, 3];
const condition = () => tensor(Uint32Array.of(0, 1));
const plain: VelocityField = { velocity: (x: Tensor) => multiply(x, 2) };

/** Every field that evaluates another one. */
const wrappers: Record<string, (field: VelocityField) => VelocityField> = {
  counted: (field) => new CountedField(field),
  "guided at scale 0": (field) => guided(field, { scale: 0, none: 2 }),
  "guided at scale 1": (field) => guided(field, { scale: 1, none: 2 }),
  "guided at scale 2": (field) => guided(field, { scale: 2, none: 2 }),
  "autoguided at scale 1": (field) => autoguided(field, plain, 1),
  "autoguided at scale 2": (field) => autoguided(field, plain, 2),
};

for (const [name, wrapped] of Object.entries(wrappers)) {
  testOnDevices(
    `a field that is ${name} says that what it evaluates is guided, and for which path`,
    async () => {
      const x1 = zeros(shape);
      await assert.rejects(
        logLikelihood(wrapped({ ...plain, guided: true }), x1, { exact: true, condition: condition() }),
        /Cannot take the likelihood of a guided field/,
      );
      const field = wrapped({ ...plain, path: cosinePath });
      const options = { steps: 2, condition: condition() };
      assert.throws(
        () => new Sampler(field, shape, { solver: "sde", ...options }),
        /with noise: .* another path/,
      );
      await assert.rejects(
        solveFlow(field, x1, { solver: "sde", ...options }),
        /with noise: .* another path/,
      );
    },
  );
}

testOnDevices("predicting() says that the network is guided, and takes the path that it is given", () => {
  const field = predicting({ ...plain, guided: true }, velocityPrediction, cosinePath);
  assert.deepEqual([field.guided, field.path], [true, cosinePath]);
});

testOnDevices("Sampler with noise takes networks of the linear path only", () => {
  const model = createModel({ type: "UNet_FM", filters: [2, 4], tEmb: 4, path: "cosine" }, 1);
  const images = [2, 1, 4, 4];
  const options = { solver: "sde", steps: 2 } as const;
  assert.throws(() => new Sampler(model, images, options), {
    name: "TypeError",
    message: /^Cannot sample with noise: the field is for another path.*expected the linear path/,
  });
  const linear = createModel({ type: "UNet_FM", filters: [2, 4], tEmb: 4 }, 1);
  new Sampler(linear, images, options).run(zeros(images));
});

testOnDevices("HeldOutLoss measures a field on the path that it says it is for", async () => {
  const source = batchSource(tensor([1, 2, 3, 4, 5, 6], shape));
  const loss = async (field: VelocityField, objective = {}) =>
    (await new HeldOutLoss(field, source, { batchSize: 2, seed: 1, ...objective }).losses(
      Uint32Array.of(0, 1),
    ))
      .loss;
  const named = { ...plain, path: cosinePath };
  const expected = await loss(plain, { objective: { ...flowMatching, path: cosinePath } });
  assert.deepEqual(await loss(new CountedField(named)), expected);
  assert.throws(
    () => new HeldOutLoss(named, source, { batchSize: 2, seed: 1, objective: flowMatching }),
    /created for the path cosine \(expected it as objective.path\)/,
  );
});

testOnDevices("a field whose path is something else is refused in words", async () => {
  class Field extends Module {
    readonly path = "downs";
    readonly weight = tensor([1]);
    readonly velocity = plain.velocity;
  }
  const field = new Field() as unknown as Module & VelocityField;
  const refused = {
    name: "TypeError",
    message: /^Cannot use the field: its path is not a path from noise to data \(expected /,
  };
  assert.throws(() => new CountedField(field).path, refused);
  assert.throws(() => new Sampler(field, shape, { solver: "sde", steps: 2 }), refused);
  await assert.rejects(() => fit(field, tensor([1, 2, 3, 4, 5, 6], shape), { steps: 1 }), refused);
});
