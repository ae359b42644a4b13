import assert from "node:assert/strict";
import { evaluate, evaluationsOf } from "../../../experiments/evaluation/evaluate.ts";
import type { Subject } from "../../../experiments/evaluation/subject.ts";
import { solverSpec } from "../../../experiments/settings/solver_spec.ts";
import { init, multiply, tanh, type Tensor, withDevice } from "../../../kernels/mod.ts";
import type { Model } from "../../../models/mod.ts";
import { CountedField } from "../../../models/solve/counted_field.ts";

Deno.test("evaluate() says what each figure cost, also where a solver chooses its own steps", async () => {
  const count = 4;
  const images = Uint8Array.from({ length: 9 * count }, (_, i) => i * 37 % 256);
  const data = { name: "made-up", train: { images, count }, test: { images, count }, classes: 0 };
  const device = await init({ device: "cpu", threads: 1 });
  const field = new CountedField({ velocity: (x: Tensor) => tanh(multiply(x, 3)) });
  const subject: Subject = {
    drawable: { model: field as unknown as Model, normalization: { scale: 2, shift: -1 }, shape: [1, 3, 3] },
    data: { ...data, channels: 1, height: 3, width: 3, digest: "", source: "" },
    trained: Uint32Array.of(0, 1, 2, 3),
    weights: { file: "", sha256: "" },
    classes: 0,
  };
  const asked = { count, seed: 0, guidance: 1, courseImages: 0, bitsImages: count };
  const options = { ...asked, ...solverSpec("euler:steps=3") };
  const { evaluation } = (await withDevice(device, () => evaluate(subject, undefined, options)))!;
  device.close();
  const { authentic, test_loss, bits_per_dimension } = evaluation.figures;
  assert.deepEqual([authentic!.evaluations, test_loss!.evaluations], [3 * count, count]);
  const ofBits = field.evaluations - 3 - 1; // all four images are followed at once
  assert.equal(bits_per_dimension!.evaluations, ofBits * count);
  assert.notEqual(evaluationsOf(subject, undefined, options), field.evaluations * count, "which was a guess");
});
