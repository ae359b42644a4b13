/** `train --init`: a run that starts from the weights of another network. */

import assert from "node:assert/strict";
import { configOf, type WrittenSettings } from "./config_of.ts";
import { prepareTraining } from "../../experiments/training/prepare_training.ts";
import { init, withDevice } from "../../kernels/mod.ts";
import { decodeSafetensors, type Model, stateOf } from "../../models/mod.ts";
import { fingerprintOf, madeOnce, noPictures, oneThread, testTask, type Workplace } from "./cli.ts";
import { writeTinyIdx } from "./data/tiny_idx.ts";
import { spotsOf, writeFiles } from "./data/tiny_png.ts";
import { writeModule } from "./networks/modules.ts";
import { assertMistakes } from "./refusals.ts";
import { storeNetwork } from "./stored_network.ts";

const short = `--batch-size 8 ${oneThread} ${noPictures} --test-batches 1 --val-batches 1`;

/** Two trained runs, `source` with ten classes and `plain` without, and data with four classes. */
const prepare = (place: Workplace) =>
  madeOnce(place, "runs to start from", async (place) => {
    await writeTinyIdx(place.file("four"), { classes: 4 });
    const words = Array.from("abcdefghij");
    await writeFiles(place.file("letters"), spotsOf(words, 4));
    await writeFiles(place.file("digits"), spotsOf(words.map((_, i) => `${i}`), 4));
    const flags = `--data data --filters 8,16 --t-emb 8 --max-steps 1 ${short}`;
    await place.succeed("train:residual", `${flags} --groups 4 --out source`);
    await place.succeed("train:base", `${flags} --no-conditional --out plain`);
    await Deno.mkdir(place.file("source", "weights"));
    await Deno.copyFile(place.file("source/ema.safetensors"), place.file("source/weights/kept.safetensors"));
  });

const prints = async (model: Model) =>
  new Map(Array.from(await stateOf(model), ([name, { data }]) => [name, fingerprintOf(data)]));

const label = "label_emb.weight";
/** The tensors that are initialised, by what is given; the others must be taken over. */
const cases: [data: string, given: WrittenSettings, says: RegExp, ...anew: string[]][] = [
  ["data", {}, /: (\d+) of \1 tensors\nNewly initialised: optimizer, schedule and averaged weights$/],
  ["four", {}, /\nNewly initialised: label_emb\.weight \(4, not 10 classes\);/, label],
  ["letters", {}, /\nNewly initialised: label_emb\.weight \(other classes\);/, label],
  ["letters", { init: "source/weights/kept.safetensors" }, /label_emb\.weight \(other classes\);/, label],
  ["digits", {}, /: (\d+) of \1 tensors\n/],
  ["data", { conditional: false }, /: (\d+) of \1 tensors, without label_emb\.weight \(no classes\)\n/],
  ["data", { init: "plain" }, /label_emb\.weight \(10, not 0 classes\)/, label],
  ["data", { resize: [16, 20] }, /: (\d+) of \1 /],
  [
    ...["data", { channels: 3 }, /, last\.bias \(images of 3 x 12 x 12, not 1 x 12 x 12\);/] as const,
    ...["downs.0.conv.weight", "last.weight", "last.bias"],
  ],
];

testTask("train --init takes over weights bit for bit, and draws the others by the seed", async (place) => {
  await prepare(place);
  const device = await init({ device: "cpu", threads: 1 });
  const networkOf = async (data: string, values: WrittenSettings) => {
    const config = configOf({ data: place.file(data), batchSize: 8, ema: 0.9, ...values });
    const prepared = await prepareTraining(device, config, { say() {}, terminal: undefined });
    const { network: { model, averaged }, initial } = prepared;
    const weights = await prints(model);
    assert.deepEqual(await prints(averaged), weights, "the average begins with the weights");
    return { weights, lines: initial?.lines.join("\n") ?? "" };
  };
  await withDevice(device, async () => {
    for (const [data, { init = "source", ...values }, says, ...anew] of cases) {
      const path = place.file(init!);
      const { weights, lines } = await networkOf(data, { init: path, ...values });
      assert.match(lines, says);
      const file = init!.endsWith("s") ? path : `${path}/ema.safetensors`;
      const { tensors } = decodeSafetensors(await Deno.readFile(file), file);
      const differ = [...weights].filter(([name, print]) => {
        const before = tensors.get(name);
        return before === undefined || fingerprintOf(before.data) !== print;
      }).map(([name]) => name);
      assert.deepEqual(differ.toSorted(), anew.toSorted(), lines);
      if (values.channels === undefined) continue;
      const network = { model: "residual", filters: [8, 16], tEmb: 8, groups: 4 } as const;
      const { weights: scratch } = await networkOf(data, { ...network, ...values });
      for (const name of anew) assert.equal(weights.get(name), scratch.get(name), name);
    }
  });
  device.close();
});

testTask("a run from weights resumes without them, and is repeated with the same", async (place) => {
  await prepare(place);
  const flags = `--init source --data four ${short} --schedule constant --warm-up 0`;
  await place.succeed("train", `${flags} --epochs 2 --out whole`);
  await place.succeed("train", `${flags} --epochs 1 --out cut`);
  const { init, filters, normalize } = await place.json("cut/config.json");
  const digest = await place.digest("source", "ema.safetensors");
  assert.deepEqual([init, `${filters}`, normalize], [`source@sha256:${digest}`, "8,16", "-1..1"]);
  const again = `--config cut ${oneThread}`;
  await place.succeed("train", `${again} --out again`);
  assert.equal(await place.digest("again/last.safetensors"), await place.digest("cut/last.safetensors"));
  await Deno.copyFile(place.file("source/last.safetensors"), place.file("source/ema.safetensors"));
  const says = "ConfigError: Cannot start from source/ema.safetensors: these are not the weights";
  await assertMistakes(place, "train", { [`${again} --out other`]: [says, "SHA-256"] });
  await Deno.remove(place.file("source"), { recursive: true });
  await place.succeed("train", `--resume cut --epochs 2 ${oneThread}`);
  assert.deepEqual(await place.state("cut"), await place.state("whole"));
  await place.succeed("report", "cut --no-live --out report.html");
});

testTask("train --init takes the network of the weights, and refuses what contradicts it", async (place) => {
  await prepare(place);
  await writeModule(place);
  const steps = `--data data --max-steps 1 ${short}`;
  await place.succeed("train", `--model ./mlp.ts:hidden=8 ${steps} --out own`);
  const stored = { type: "UNet_FM_Residuals", path: "cosine", prediction: "noise" } as const;
  await storeNetwork(place, "weights", [12, 12], stored);
  await storeNetwork(place, "map", [12, 12], { flowMap: true });
  await place.succeed("train", `--init weights.safetensors ${steps} --out run`);
  const config = await place.json("run/config.json");
  const network = {
    model: "residual",
    filters: [4, 8],
    tEmb: 8,
    groups: 4,
    path: "cosine",
    prediction: "noise",
  };
  assert.deepEqual({ ...config, ...network, conditional: true }, config);
  const resized = "--init own --model ./mlp.ts:activation=none --resize 8";
  const { stderr } = await place.succeed("train", `${resized} ${steps} --out resized`);
  assert.match(stderr, /: 2 of 5 tensors\nNewly initialised: inner\.weight, outer\.weight, outer\.bias/);

  const has = "with --init weights.safetensors: its network has";
  const mistakes = {
    "weights.safetensors --filters 8,16": `ConfigError: Cannot use --filters 8,16 ${has} 4,8 (leave it out)`,
    "weights.safetensors --model base": `ConfigError: Cannot use --model base ${has} residual`,
    "weights.safetensors --attn": `ConfigError: Cannot use --attn ${has} none (leave it out)`,
    "weights.safetensors --path linear": `ConfigError: Cannot use --path linear ${has} cosine`,
    "weights.safetensors --normalize 0..1": `ConfigError: Cannot use --normalize 0..1 ${has} -1..1`,
    "no.safetensors": "RunError: Cannot start from no.safetensors: ",
    "nowhere": "ConfigError: Cannot find the run nowhere",
    "map.safetensors": "ConfigError: Cannot start from map.safetensors: it is a flow map",
    "own --model ./mlp.ts:hidden=16":
      'StateError: Cannot load own/ema.safetensors: "inner.weight" is f32[8, 145]',
    "own --model residual":
      "ConfigError: Cannot use --model residual with --init own: its network has ./mlp.ts",
    "plain --config source":
      "ConfigError: Cannot use --model residual with --init plain: its network has base",
  };
  for (const [flags, says] of Object.entries(mistakes)) {
    await assertMistakes(place, "train", { [`--init ${flags} ${steps} --out other`]: says });
  }
});
