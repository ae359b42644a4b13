/** What training is prepared with: the data, a network and its optimizer, and a batch that fits the memory. */

import assert from "node:assert/strict";
import { ImageSource } from "../../../experiments/data/image_source.ts";
import { fitBatch, fittingNetwork, freeMainMemory } from "../../../experiments/training/fit_memory.ts";
import { makeNetwork } from "../../../experiments/training/network.ts";
import { heldOutOptions } from "../../../experiments/settings/objective.ts";
import * as checks from "../../../experiments/training/prepare_training.ts";
import type { MemoryPlan } from "../../../kernels/mod.ts";
import { HeldOutLoss } from "../../../models/mod.ts";
import { testUnless } from "../../permissions.ts";
import { testOnCpu } from "../../testing.ts";
import * as settings from "../config_of.ts";

const { checkCoupling, checkPictures, checkValidation, decideConditional } = checks;
const configOf = (values: settings.WrittenSettings = {}) =>
  settings.configOf({ model: "base", filters: [4, 8], tEmb: 8, ...values });
/** Grey images of H x H. */
const sourceOf = (count: number, H: number, labels?: ConstructorParameters<typeof ImageSource>[3]) => {
  const bytes = Uint8Array.from({ length: count * H * H }, (_, i) => i * 37 % 256);
  return new ImageSource(bytes, { channels: 1, height: H, width: H }, { scale: 2, shift: -1 }, labels);
};

Deno.test("a run takes labels if its data has them, and is refused if its data does not allow what it needs", () => {
  const size = { channels: 1, height: 28, width: 28 };
  const decide = (values: settings.WrittenSettings, classes: number) => {
    const said: string[] = [];
    const data = { name: "data", classes, ...size, digest: "", source: "" };
    const { conditional, guidance } = decideConditional(configOf(values), data, (line) => said.push(line));
    return [conditional, guidance, ...said];
  };
  assert.deepEqual(decide({}, 10), [true, 1.3]);
  assert.deepEqual(decide({}, 0), [false, 2, "Training without labels: the data set data has none"]);
  assert.deepEqual(decide({ conditional: false }, 10), [false, 2]);

  const pictures = (values: object) => () =>
    checkPictures(configOf({ flowSteps: 100, ...values }), [1, 28, 28]);
  const images = { train: new Uint32Array(96), validation: new Uint32Array(0) };
  const plateau = { schedule: "plateau", valFraction: 0.004 } as const;
  pictures({ samples: 1000, flowSamples: 50, pathSamples: 5000 })();
  checkCoupling(configOf({ coupling: "class_ot", conditional: true }));
  checkValidation(configOf(plateau), { ...images, validation: new Uint32Array(1) });
  const noLabels = /^ConfigError: Cannot use --conditional: the data set data has no labels /;
  const refused: [check: () => unknown, words: RegExp][] = [
    [() => decide({ conditional: true }, 0), noLabels],
    [() => decide({ guidance: 2 }, 0), noLabels],
    [() => decide({ labelDropout: 0.2 }, 0), noLabels],
    [pictures({ samples: 1_000_000 }), /^RunError: Cannot draw 1000000 images /],
    [
      pictures({ flowSamples: 100_000 }),
      /^ConfigError: Cannot use --flow-samples 100000 here: .*most 1695\)/,
    ],
    [pictures({ pathSamples: 3_000_000 }), /^ConfigError: Cannot use --path-samples 3000000 here/],
    [() => checkCoupling(configOf({ coupling: "class_ot", conditional: false })), /class_ot: it pairs /],
    [
      () => checkValidation(configOf(plateau), images),
      /with --val-fraction 0.004: that holds out none of 96 /,
    ],
  ];
  for (const [check, words] of refused) assert.throws(check, words);
});

testOnCpu("makeNetwork() passes on every setting of the optimizer", async () => {
  /** Weights and moments after some steps. */
  const by = async (values: settings.WrittenSettings, steps = 1) => {
    const config = configOf({ batchSize: 4, clip: 0, ema: 0, weightDecay: 0, ...values });
    const classes = { values: Uint8Array.of(0, 1, 2, 0, 1, 2, 0, 1), classes: 3 };
    const { trainer } = makeNetwork(
      config,
      sourceOf(8, 8, config.conditional === true ? classes : undefined),
    );
    for (let step = 0; step < steps; step++) trainer.queueStep(Uint32Array.of(0, 1, 2, 3), config.lr);
    const { optimizer: moments, parameters } = await trainer.state();
    const of = (name: string) =>
      [...moments].flatMap(([key, { data }]) => key.startsWith(name) ? [...data] : []);
    return { weights: [...parameters.values()].flatMap(({ data }) => [...data]), m: of("m."), v: of("v.") };
  };
  const norm = (values: readonly number[]) => Math.hypot(...values);
  const difference = (a: readonly number[], b: readonly number[]) => norm(a.map((value, i) => value - b[i]));
  const near = (actual: number, expected: number, tolerance: number) =>
    assert.ok(Math.abs(actual / expected - 1) <= tolerance, `${actual} instead of ${expected}`);
  const { weights: start } = await by({}, 0);
  const { m: gradient } = await by({ optimizer: "sgd" });
  const adam = await by({ optimizer: "adam", beta1: 0.5, beta2: 0.8 });
  near(norm(adam.m), 0.5 * norm(gradient), 1e-4);
  near(norm(adam.v), 0.2 * norm(gradient.map((g) => g * g)), 1e-4);
  const blunt = await by({ optimizer: "adam", lr: 100, eps: 1e4 });
  near(difference(blunt.weights, start), 100 * norm(gradient) / 1e4, 1e-2);
  near(norm((await by({ optimizer: "sgd", clip: 0.01 })).m), 0.01, 1e-3);
  const decayed = await by({ optimizer: "adamw", lr: 1e-9, weightDecay: 1e7 });
  near(norm(decayed.weights), 0.99 * norm(start), 1e-4);
  const [heavy, light] = [0.5, 0].map((momentum) => by({ optimizer: "sgd", momentum, lr: 1e-9 }, 2));
  near(difference((await heavy).m, (await light).m), 0.5 * norm(gradient), 1e-3);
  const muon = (steps: number, muonLr: number) =>
    by({ filters: [8, 16], optimizer: "muon", lr: 1e-9, muonLr }, steps);
  const [still, slow, fast] = [await muon(0, 0.02), await muon(1, 0.02), await muon(1, 0.04)];
  near(difference(fast.weights, still.weights), 2 * difference(slow.weights, still.weights), 1e-3);
  assert.ok(difference(slow.weights, still.weights) > 0.01);
  const [kept, dropped] = [0, 1].map((labelDropout) => by({ conditional: true, labelDropout }));
  assert.notDeepEqual((await kept).weights, (await dropped).weights, "the labels are left out");
});

const MiB = 2 ** 20;
const limitsOf = (maxRangeBytes: number, maxBytes = Infinity, software = false) => ({
  ...{ maxRangeBytes, maxBytes, allocatedBytes: MiB },
  tuning: { workgroupSize: 1, software, pieces: 1 },
});
/** A step that needs `bytes` per image, half of them for its largest tensor. */
const plan = (bytes: number, workspaceBytes = 0) => (images: number): MemoryPlan => {
  return { bytes: images * bytes, largestBytes: images * bytes / 2, workspaceBytes, calls: 1 };
};

Deno.test("fitBatch() halves the batch until its largest tensor and its step fit, and says why", () => {
  const tensor = (size: number, limit: number) =>
    `a tensor takes ${size} MiB, but a kernel can only bind ${limit} MiB`;
  type Case = [
    ReturnType<typeof limitsOf>,
    wanted: number,
    batchSize: number,
    reason?: string,
    space?: number,
  ];
  const cases: Case[] = [
    [limitsOf(64 * MiB), 128, 128],
    [limitsOf(Infinity), 1, 1],
    [limitsOf(63 * MiB), 128, 64, tensor(64, 63)],
    [limitsOf(4 * MiB), 100, 6, tensor(50, 4)],
    [limitsOf(MiB / 2), 3, 1, tensor(2, 1)],
    [limitsOf(64 * MiB, 5 * MiB), 8, 4, "training takes 8 MiB, but only 4 MiB are free"],
    [limitsOf(64 * MiB, 9 * MiB), 8, 4, "training takes 11 MiB, but only 8 MiB are free", 3 * MiB],
  ];
  for (const [limits, wanted, batchSize, reason, space] of cases) {
    assert.deepEqual(fitBatch(limits, wanted, plan(MiB, space)), { batchSize, reason });
  }
  const message = "Cannot train this network here: not even one image fits " +
    "(a tensor takes 4 MiB, but a kernel can only bind 1 MiB); use a smaller one";
  assert.throws(() => fitBatch(limitsOf(MiB), 2, plan(4 * MiB)), { name: "TrainingError", message });
});

const { state } = Deno.permissions.querySync({ name: "sys", kind: "systemMemoryInfo" });
const unmeasured = state === "granted" ? undefined : "needs --allow-sys=systemMemoryInfo";
testUnless(unmeasured, "fitBatch() counts main memory only on a software adapter", () => {
  const half = Deno.systemMemoryInfo().available / 2;
  const { batchSize, reason } = fitBatch(limitsOf(Infinity, Infinity, true), 16, plan(half));
  assert.equal(batchSize, 1);
  assert.match(reason ?? "", /^training takes \d+ MiB, but only \d+ MiB are free$/);
  assert.deepEqual(fitBatch(limitsOf(Infinity), 16, plan(half)), { batchSize: 16, reason: undefined });
  const free = [Infinity, 30, 60, 8].map((limit) => freeMainMemory({ available: 40, limit }, 10));
  assert.deepEqual(free, [40, 20, 40, 0], "or the rest of a control group's limit");
});

testOnCpu("fittingNetwork() counts measuring and sampling, and keeps the memory of one network", (device) => {
  const images = sourceOf(64, 12);
  const limits = { ...limitsOf(device.maxRangeBytes), allocatedBytes: 0 };
  const plain = { filters: [8, 16], batchSize: 64, flowSamples: 0, pathSamples: 0, samples: 0 };
  const said: string[] = [];
  const fitting = (values: settings.WrittenSettings, maxBytes: number) =>
    fittingNetwork(
      configOf({ ...plain, ...values }),
      { ...limits, maxBytes },
      images,
      (line) => said.push(line),
    )
      .config.batchSize;
  const { trainer, averaged } = makeNetwork(configOf(plain), images);
  const [step, held] = [
    trainer.plan(64),
    HeldOutLoss.plan(averaged, images, { ...heldOutOptions(configOf(plain)), batchSize: 64 }),
  ];
  const needed = step.bytes + 2 * held.bytes + Math.max(step.workspaceBytes, held.workspaceBytes);
  assert.deepEqual([fitting({}, needed), said], [64, []], "the losses of validation and test count");
  assert.equal(fitting({}, needed - 1), 32);
  assert.match(said[0], /^Batches of 32 images instead of 64: /);
  assert.equal(fitting({}, 4 * step.bytes), 64);
  assert.ok(fitting({ samples: 256 }, 4 * step.bytes) < 64, "samples count");

  const grown = (make: () => unknown): number => {
    const before = device.allocatedBytes;
    make();
    return device.allocatedBytes - before;
  };
  const large = { ...plain, filters: [64, 128] };
  const one = grown(() => makeNetwork(configOf(large), images));
  const { bytes } = makeNetwork(configOf(large), images).trainer.plan(64);
  for (const maxBytes of [Infinity, bytes]) {
    const kept = grown(() => fitting(large, maxBytes));
    assert.ok(kept <= 1.2 * one, `${kept} bytes instead of ${one}`);
  }
});
