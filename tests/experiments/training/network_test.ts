/** What the settings of a network and its optimizer do. */

import assert from "node:assert/strict";
import type { TrainingConfig } from "../../../experiments/cli/training.ts";
import { trainingConfig } from "../../../experiments/cli/training_config.ts";
import { ImageSource } from "../../../experiments/data/image_source.ts";
import { makeNetwork } from "../../../experiments/training/network.ts";
import { testOnCpu } from "../../testing.ts";

/** Weights and moments after some steps. */
async function trained(values: Partial<TrainingConfig>, steps: number) {
  const network = { model: "base", filters: [4, 8], tEmb: 8, batchSize: 4, clip: 0, ema: 0 } as const;
  const config = trainingConfig({ ...network, ...values });
  const bytes = Uint8Array.from({ length: 8 * 64 }, (_, i) => i * 37 % 256);
  const classes = { values: Uint8Array.of(0, 1, 2, 0, 1, 2, 0, 1), classes: 3 };
  const labels = config.conditional === true ? classes : undefined;
  const size = { channels: 1, height: 8, width: 8 };
  const { trainer } = makeNetwork(config, new ImageSource(bytes, size, { scale: 2, shift: -1 }, labels));
  for (let step = 0; step < steps; step++) trainer.queueStep(Uint32Array.of(0, 1, 2, 3), config.lr);
  const { optimizer: moments, parameters } = await trainer.state();
  const of = (name: string) =>
    [...moments].flatMap(([key, { data }]) => key.startsWith(name) ? [...data] : []);
  return { weights: [...parameters.values()].flatMap(({ data }) => [...data]), m: of("m."), v: of("v.") };
}

const norm = (values: readonly number[]) => Math.hypot(...values);
const difference = (a: readonly number[], b: readonly number[]) => norm(a.map((value, i) => value - b[i]));

testOnCpu("makeNetwork() passes on every setting of the optimizer", async () => {
  const near = (actual: number, expected: number, tolerance: number) =>
    assert.ok(Math.abs(actual / expected - 1) <= tolerance, `${actual} instead of ${expected}`);
  const { weights: start } = await trained({}, 0);
  const by = (values: Partial<TrainingConfig>, steps = 1) => trained({ weightDecay: 0, ...values }, steps);
  const { m: gradient } = await by({ optimizer: "sgd" });
  const adam = await by({ optimizer: "adam", beta1: 0.5, beta2: 0.8 });
  near(norm(adam.m), 0.5 * norm(gradient), 1e-4);
  near(norm(adam.v), 0.2 * norm(gradient.map((g) => g * g)), 1e-4);
  const blunt = await by({ optimizer: "adam", lr: 100, eps: 1e4 });
  near(difference(blunt.weights, start), 100 * norm(gradient) / 1e4, 1e-2);
  near(norm((await by({ optimizer: "sgd", clip: 0.01 })).m), 0.01, 1e-3);
  near(
    norm((await by({ optimizer: "adamw", lr: 1e-9, weightDecay: 1e7 })).weights),
    0.99 * norm(start),
    1e-4,
  );
  const heavy = await by({ optimizer: "sgd", momentum: 0.5, lr: 1e-9 }, 2);
  const light = await by({ optimizer: "sgd", momentum: 0, lr: 1e-9 }, 2);
  near(difference(heavy.m, light.m), 0.5 * norm(gradient), 1e-3);
  const muon = (steps: number, muonLr: number) =>
    by({ filters: [8, 16], optimizer: "muon", lr: 1e-9, muonLr }, steps);
  const [still, slow, fast] = [await muon(0, 0.02), await muon(1, 0.02), await muon(1, 0.04)];
  near(difference(fast.weights, still.weights), 2 * difference(slow.weights, still.weights), 1e-3);
  assert.ok(difference(slow.weights, still.weights) > 0.01);
  const [kept, dropped] = [0, 1].map((labelDropout) => by({ conditional: true, labelDropout }));
  assert.notDeepEqual((await kept).weights, (await dropped).weights, "the labels are left out");
});
