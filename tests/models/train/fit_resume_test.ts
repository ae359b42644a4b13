import assert from "node:assert/strict";
import type { Tensor } from "../../../kernels/mod.ts";
import {
  createModel,
  decodeTrainerState,
  Dropout,
  encodeTrainerState,
  fit,
  type FitOptions,
  type FitProgress,
  type Module,
  plateauSchedule,
  type VelocityField,
} from "../../../models/mod.ts";
import { testOnCpu, testOnDevices } from "../../testing.ts";
import { data, LineField, weightsOf } from "./line_field.ts";
import { assertSameNumbers } from "../../same_numbers.ts";

/** A field that uses everything that a resumed call must restore. */
class Dropping extends LineField {
  readonly dropout = new Dropout(0.3);

  override velocity(x: Tensor, t: Tensor): Tensor {
    return super.velocity(this.dropout.forward(x), t);
  }
}

const whole: () => FitOptions = () => ({
  ...{ steps: 33, batchSize: 10, ema: 0.9, clip: 1, weightDecay: 0.1, progressSteps: 7 },
  validation: data(),
  learningRate: plateauSchedule(0.05, { factor: 0.5, patience: 0, threshold: 0.9 }),
});

testOnDevices("fit() resumes from a state to the same bits, as if it had never stopped", async () => {
  const run = async (options: FitOptions) => {
    const model = new Dropping(1);
    const states = new Map<number, Uint8Array>();
    const losses = await fit(model, data(), {
      ...whole(),
      ...options,
      onProgress: async ({ step, state, validationLoss }) => {
        states.set(step, await state());
        assert.equal(validationLoss === undefined, step < 5, "measured after each epoch");
      },
    });
    return { losses, states, weights: await weightsOf(model) };
  };
  const { states, ...all } = await run({});
  assert.deepEqual([...states.keys()], [7, 14, 21, 28, 33]);
  for (const step of [7, 28]) {
    const { states: later, ...rest } = await run({ resume: states.get(step)! });
    assert.deepEqual([...later.keys()], [...states.keys()].filter((other) => other > step));
    assert.deepEqual(rest, all);
    assert.deepEqual(later.get(33), states.get(33));
  }
  const { states: none, ...done } = await run({ resume: states.get(33)! });
  assert.deepEqual([done, none.size], [all, 0]);
});

testOnDevices(
  "a signal ends fit() after a step whose state it reports, and training continues from it",
  async () => {
    const stop = new AbortController();
    let saved: Uint8Array | undefined;
    const coupling = {
      pair: (examples: Uint32Array<ArrayBuffer>, { step }: { step: number }) => {
        if (step === 4) stop.abort();
        return examples;
      },
    };
    const calls: number[] = [];
    const onProgress = async ({ step, state }: FitProgress) => {
      calls.push(step);
      saved = await state();
    };
    const options = { steps: 40, batchSize: 7, progressSteps: 30, onProgress };
    const first = await fit(new LineField(1), data(), {
      ...options,
      signal: stop.signal,
      objective: { coupling },
    });
    assert.ok(first.length >= 5 && first.length < 30, `${first.length} steps`);
    const model = new LineField(1);
    const rest = await fit(model, data(), { ...options, resume: saved! });
    assert.deepEqual(calls, [first.length, 30, 40]);
    const other = new LineField(1);
    assertSameNumbers(await fit(other, data(), { ...options, onProgress: () => {} }), rest);
    assertSameNumbers(await weightsOf(model), await weightsOf(other));
  },
);

testOnCpu("fit() refuses the state of another model or call, and changes nothing", async () => {
  const options = { steps: 4, batchSize: 7, ema: 0.9 };
  let saved = new Uint8Array();
  const onProgress = async ({ state }: FitProgress) => void (saved = await state());
  await fit(new LineField(1), data(), { ...options, onProgress });
  const { state, extras } = decodeTrainerState(saved, "the state");
  const bare = encodeTrainerState(state);
  const broken = encodeTrainerState(
    { ...state, parameters: new Map([["map.weight", { shape: [1, 2], data: Float32Array.of(NaN, 1) }]]) },
    extras,
  );
  const unet = createModel({ type: "UNet_FM", filters: [2], tEmb: 4 }, 1);
  const cases: [
    options: FitOptions,
    message: RegExp,
    model?: Module & VelocityField,
  ][] = [
    [{}, /^StateError: Cannot load the state to resume: unknown name "map.weight".*another network\?$/, unet],
    [{ seed: 1 }, /^StateError: .*: its seed is 46020 \(expected 1, as in this call\)$/],
    [{ batchSize: 8 }, /^StateError: .*: its batchSize is 7 \(expected 8, as in this call\)$/],
    [{ optimizer: "adam" }, /^StateError: .*: its optimizer is adamw \(expected adam, as in this call\)$/],
    [{ ema: 0 }, /^StateError: .*: its ema is 0.9 \(expected 0, as in this call\)$/],
    [{ steps: 3 }, /^StateError: .*: it is at step 4 \(expected at most 3, the steps of this call\)$/],
    [
      { resume: bare },
      /^StateError: .*: fit\(\) did not save it \(expected the result of progress.state\(\)/,
    ],
    [{ resume: broken }, /^StateError: .*"p.map.weight" is NaN at index 0 \(expected finite numbers\)/],
    [{ resume: saved.subarray(0, 50) }, /^SafetensorsError: Cannot read the state to resume/],
  ];
  for (const [other, message, model = new LineField(1)] of cases) {
    const before = await weightsOf(model);
    await assert.rejects(fit(model, data(), { ...options, resume: saved, ...other }), message);
    assertSameNumbers(await weightsOf(model), before);
  }
});
