/** `train --init`: a run that starts from the weights of another network. */

import assert from "node:assert/strict";
import { decodeSafetensors, type State } from "../../models/mod.ts";
import { fingerprintOf, madeOnce, oneThread, testTask, type Workplace } from "./cli.ts";
import { writeTinyIdx } from "./data/tiny_idx.ts";
import { spotsOf, writeFiles } from "./data/tiny_png.ts";
import { writeModule } from "./networks/modules.ts";
import { assertRefused } from "./refusals.ts";
import { storeNetwork } from "./stored_network.ts";

const short = `--batch-size 8 ${oneThread} --samples 0 --flow-samples 0 --path-samples 0 --test-batches 1 ` +
  "--val-batches 1";
/** A rate so small that no weight changes in f32. */
const still = `${short} --max-steps 1 --lr 1e-30 --optimizer adamw`;

/** Two trained runs, `source` with ten classes and `plain` without, and data with four classes. */
const prepare = (place: Workplace) =>
  madeOnce(place, "runs", async (place) => {
    await writeTinyIdx(place.file("four"), { classes: 4 });
    const words = Array.from("abcdefghij");
    await writeFiles(place.file("letters"), spotsOf(words, 4));
    await writeFiles(place.file("digits"), spotsOf(words.map((_, i) => `${i}`), 4));
    const flags = `--data data --filters 8,16 --t-emb 8 --groups 4 --max-steps 3 ${short}`;
    await place.succeed("train:residual", `${flags} --out source`);
    await place.succeed("train:base", `${flags.replace("--groups 4", "")} --no-conditional --out plain`);
    await Deno.mkdir(place.file("source", "weights"));
    await Deno.copyFile(place.file("source/ema.safetensors"), place.file("source/weights/kept.safetensors"));
    await writeModule(place);
    await place.succeed("train", `--model ./mlp.ts --hidden 8 --data data --max-steps 3 ${short} --out own`);
  });

async function weights(place: Workplace, ...path: string[]): Promise<State> {
  return decodeSafetensors(await place.read(...path), path.join("/")).tensors;
}

const print = (state: State) => new Map([...state].map(([name, { data }]) => [name, fingerprintOf(data)]));

/** The tensors that are newly initialised, by case; the others must be taken over. */
const cases: Readonly<
  Record<string, { from: string; flags: string; says: RegExp; anew: readonly string[]; left?: string }>
> = {
  "the same data": { from: "source", flags: "--data data", says: /: (\d+) of \1 tensors\n/, anew: [] },
  "other classes": {
    from: "source",
    flags: "--data four",
    says:
      /\nNewly initialised: label_emb\.weight \(4, not 10 classes\); optimizer, schedule and averaged weights\n/,
    anew: ["label_emb.weight"],
  },
  "as many classes of other names": {
    from: "source",
    flags: "--data letters",
    says: /\nNewly initialised: label_emb\.weight \(other classes\);/,
    anew: ["label_emb.weight"],
  },
  "other classes, and weights that a run kept during training": {
    from: "source/weights/kept.safetensors",
    flags: "--data letters",
    says: /\nNewly initialised: label_emb\.weight \(other classes\);/,
    anew: ["label_emb.weight"],
  },
  "classes named by their numbers": {
    from: "source",
    flags: "--data digits",
    says: /: (\d+) of \1 tensors\n/,
    anew: [],
  },
  "no labels": {
    from: "source",
    flags: "--data data --no-conditional",
    says: /: (\d+) of \1 tensors, without label_emb\.weight \(no classes\)\n/,
    anew: [],
    left: "label_emb.weight",
  },
  "labels for an unlabelled network": {
    from: "plain",
    flags: "--data data",
    says: /label_emb\.weight \(10, not 0 classes\)/,
    anew: ["label_emb.weight"],
  },
  "another size": { from: "source", flags: "--data data --resize 16,20", says: /: (\d+) of \1 /, anew: [] },
  "other channels": {
    from: "source",
    flags: "--data data --channels 3",
    says:
      /\nNewly initialised: downs\.0\.conv\.weight, last\.weight, last\.bias \(images of 3 x 12 x 12, not 1 x 12 x 12\);/,
    anew: ["downs.0.conv.weight", "last.weight", "last.bias"],
  },
  "a custom network, and another size": {
    from: "own",
    flags: "--data data --resize 8",
    says: /: 2 of 5 tensors\nNewly initialised: inner\.weight, outer\.weight, outer\.bias/,
    anew: ["inner.weight", "outer.weight", "outer.bias"],
  },
};

testTask(
  "train --init takes over weights bit for bit, and reports what is newly initialised",
  async (place) => {
    await prepare(place);
    for (const [i, [name, { from, flags: given, says, anew, left }]] of Object.entries(cases).entries()) {
      const [flags, out] = [`${given} ${still} --ema 0.9`, `${i}`];
      const { stderr } = await place.succeed("train", `--init ${from} ${flags} --out ${out}`);
      assert.match(stderr, says, name);
      const before = print(await weights(place, from.endsWith("s") ? from : `${from}/ema.safetensors`));
      const made = await weights(place, out, "last.safetensors");
      for (const [tensor, { data }] of await weights(place, out, "ema.safetensors")) {
        const { data: latest } = made.get(tensor)!;
        assert.ok(data.every((x, i) => Math.abs(x - latest[i]) < 1e-6), `${name}: the average of ${tensor}`);
      }
      const after = print(made);
      const fresh = [...after].filter(([tensor, values]) => before.get(tensor) !== values).map(([name]) =>
        name
      );
      assert.deepEqual(fresh.toSorted(), anew.toSorted(), name);
      assert.deepEqual([...before.keys()].filter((name) => !after.has(name)), left ? [left] : [], name);
    }
  },
);

testTask("newly initialised tensors are drawn by the seed, as without --init", async (place) => {
  await prepare(place);
  const flags = `--data data --channels 3 ${still}`;
  await place.succeed("train", `--init source ${flags} --out tuned`);
  await place.succeed("train:residual", `--filters 8,16 --t-emb 8 --groups 4 ${flags} --out scratch`);
  const [tuned, scratch] = [
    await weights(place, "tuned", "last.safetensors"),
    await weights(place, "scratch", "last.safetensors"),
  ];
  for (const name of ["downs.0.conv.weight", "last.weight", "last.bias"]) {
    assert.deepEqual(tuned.get(name), scratch.get(name), name);
  }
});

testTask("a run that starts from weights resumes to the same bits without them", async (place) => {
  await prepare(place);
  const flags = `--init source --data four ${short}`;
  await place.succeed("train", `${flags} --epochs 2 --schedule constant --warm-up 0 --out whole`);
  await place.succeed("train", `${flags} --epochs 1 --schedule constant --warm-up 0 --out cut`);
  const { init, filters, normalize } = JSON.parse(await Deno.readTextFile(place.file("cut", "config.json")));
  const bytes = await place.read("source", "ema.safetensors");
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes)).toHex();
  assert.deepEqual([init, `${filters}`, normalize], [`source@sha256:${digest}`, "8,16", "-1..1"]);
  await Deno.remove(place.file("source"), { recursive: true });
  await place.succeed("train", `--resume cut --epochs 2 ${oneThread}`);
  assert.deepEqual(await place.state("cut"), await place.state("whole"));
  await place.succeed("report", "cut --no-live --out report.html");
});

testTask("a run that starts from weights is repeated only with the same weights", async (place) => {
  await prepare(place);
  await place.succeed("train", `--init source --data data ${still} --out first`);
  await place.succeed("train", `--config first ${oneThread} --out again`);
  assert.equal(
    await place.digest("again", "last.safetensors"),
    await place.digest("first", "last.safetensors"),
  );
  const again = `--config first ${oneThread} --out other`;
  await assertRefused(place, {
    task: "train",
    flags: `${again} --init plain`,
    says: ["ConfigError: Cannot use --model residual with --init plain: its network has base"],
  });
  await Deno.copyFile(place.file("source/last.safetensors"), place.file("source/ema.safetensors"));
  await assertRefused(place, {
    task: "train",
    flags: again,
    says: ["ConfigError: Cannot start from source/ema.safetensors: these are not the weights", "SHA-256"],
  });
});

testTask(
  "train --init takes the network of the weights, and refuses what contradicts it in one line",
  async (place) => {
    await prepare(place);
    const stored = { type: "UNet_FM_Residuals", path: "cosine", prediction: "noise" } as const;
    await storeNetwork(place, "weights", [12, 12], stored);
    await storeNetwork(place, "map", [12, 12], { flowMap: true });
    await place.succeed("train", `--init weights.safetensors --data data ${still} --out run`);
    const config = JSON.parse(await Deno.readTextFile(place.file("run", "config.json")));
    const expected = {
      model: "residual",
      filters: [4, 8],
      tEmb: 8,
      groups: 4,
      path: "cosine",
      prediction: "noise",
    };
    assert.deepEqual({ ...config, ...expected, conditional: true }, config);

    const cannot = "ConfigError: Cannot";
    const has = "with --init weights.safetensors: its network has";
    const refused = {
      "weights.safetensors --filters 8,16": `${cannot} use --filters 8,16 ${has} 4,8 (leave it out)`,
      "weights.safetensors --model base": `${cannot} use --model base ${has} residual`,
      "weights.safetensors --attn": `${cannot} use --attn ${has} none (leave it out)`,
      "weights.safetensors --path linear": `${cannot} use --path linear ${has} cosine`,
      "weights.safetensors --normalize 0..1": `${cannot} use --normalize 0..1 ${has} -1..1`,
      "no.safetensors": "RunError: Cannot start from no.safetensors: ",
      "nowhere": `${cannot} find the run nowhere`,
      "map.safetensors": `${cannot} start from map.safetensors: it is a flow map`,
      "own --model ./mlp.ts --hidden 16":
        'StateError: Cannot load own/ema.safetensors: "inner.weight" is f32[8, 145]',
      "own --model residual": `${cannot} use --model residual with --init own: its network has ./mlp.ts`,
    };
    for (const [flags, begin] of Object.entries(refused)) {
      await assertRefused(place, {
        task: "train",
        flags: `--init ${flags} --data data ${still} --out other`,
        says: [begin],
      });
    }
    await place.succeed(
      "train",
      `--model ./mlp.ts --activation none --init own --data data ${still} --out other`,
    );
  },
);
