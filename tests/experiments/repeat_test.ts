/** `--config` repeats a run of each kind to the same bits, from nothing but its folder. */

import assert from "node:assert/strict";
import { configIn, configJson } from "../../experiments/settings/config_file.ts";
import { madeOnce, makePlace, oneThread, testTask, tinyNetwork, type Workplace } from "./cli.ts";
import { imageSize } from "./data/tiny_idx.ts";
import { writeModule } from "./networks/modules.ts";
import { assertMistakes } from "./refusals.ts";
import { storeNetwork } from "./stored_network.ts";

const rest = "--flow-samples 0 --path-samples 0 --test-batches 1";
const bare = `--data data --batch-size 8 ${oneThread} --samples 0 ${rest}`;

/** A command that makes a run in `first`, and takes away all that a repetition does not need. */
interface Kind {
  readonly task: "train" | "train:residual" | "distill";
  readonly flags: string;
  readonly before?: (place: Workplace) => Promise<unknown>;
  readonly after?: (place: Workplace) => Promise<unknown>;
  readonly again?: string;
}

const kinds = {
  "a U-Net limited by minutes": {
    task: "train:residual",
    flags:
      `${tinyNetwork} --log-every 3 --samples 10 --solver euler:steps=2 ${rest} --max-minutes 0.005 --run-name named`,
  },
  "a custom network": {
    task: "train",
    flags: `--model mlp.ts:hidden=8 --log-every 3 ${bare} --max-steps 6`,
    before: (place) => writeModule(place),
    again: "--model mlp.ts",
  },
  "a distillation": {
    task: "distill",
    flags: `teacher.safetensors --stages pairs:images=64,count=40,steps=2 --stages drift:images=48 ${bare}`,
    before: (place) => storeNetwork(place, "teacher", [imageSize, imageSize], { classes: 10 }),
    after: (place) => Deno.remove(place.file("teacher.safetensors")),
  },
} as const satisfies Readonly<Record<string, Kind>>;
type KindName = keyof typeof kinds;

const makeFirst = (place: Workplace, kind: KindName) =>
  madeOnce(place, kind, async (place) => {
    const { task, flags, before, after }: Kind = kinds[kind];
    await before?.(place);
    await place.succeed(task, `${flags} --out first`);
    await after?.(place);
  });

for (const kind of Object.keys(kinds) as KindName[]) {
  testTask(`--config repeats ${kind} to the same bits`, async (place) => {
    await makeFirst(place, kind);
    const { task, again = "" }: Kind = kinds[kind];
    const repeating = task === "distill" ? "distill" : "train";
    await place.succeed(repeating, `--config first --out again ${again}`);
    assert.deepEqual(await place.metrics("again"), await place.metrics("first"));
    assert.deepEqual(await place.state("again"), await place.state("first"));
    const names = (await place.names("first")).filter((name) =>
      /^(last|ema|best|samples|few).*\./.test(name)
    );
    assert.ok(names.includes("ema.safetensors"), `${names}`);
    for (const name of names) {
      assert.equal(await place.digest("again", name), await place.digest("first", name), name);
    }
    const recorded = await place.json("again/config.json");
    const { runName, out, maxMinutes, maxSteps } = recorded;
    const { step } = (await place.metrics("first")).at(-1)!;
    assert.deepEqual([runName, out, maxMinutes, maxSteps], [null, "again", 0, step]);
    const changed = { ...recorded, maxSteps: 7 };
    assert.deepEqual(configJson(configIn(changed, "config.json")), changed, "it is read as it is written");
  });
}

/** Commands that are refused, by what is in `first`, with the beginning of the line that says why. */
const refused = {
  "a U-Net limited by minutes": {
    train: {
      "--config first --resume first": "ConfigError: Cannot use --config with --resume: the run keeps its ",
      "--config first --preset paper": "ConfigError: Cannot use --preset with --config first: that run ",
      "--config frist": "ConfigError: Cannot find the run frist: there is no such folder",
      "--config first/run.json": "ConfigError: Unknown field ",
    },
    distill: {
      "--config first": "ConfigError: Cannot distil with --config first: that run is not a distillation",
    },
  },
  "a distillation": {
    train: {
      "--config first --filters 8,16": "ConfigError: Cannot use --filters with --config first: that run ",
    },
    distill: {
      "other --config first": "ConfigError: Cannot distil other with --config: the run keeps its teacher",
    },
  },
} as const;

testTask("--config refuses what it cannot repeat; other stages have their length", async (place) => {
  for (const [kind, { train, distill }] of Object.entries(refused)) {
    await using place = await makePlace();
    await makeFirst(place, kind as KindName);
    await assertMistakes(place, "train", train);
    await assertMistakes(place, "distill", distill);
  }
  await makeFirst(place, "a distillation");
  await place.succeed("distill", "--config first --stages mean:images=24 --out short");
  const { stages, maxSteps } = await place.json("short/config.json");
  assert.deepEqual([stages, maxSteps], ["mean:images=24,rate=1", 3]);
  await place.write("first/config.json", { ...await place.json("first/config.json"), stages: null });
  const says = [
    "ConfigError: Cannot distil without stages: they are null",
    "(in first/config.json)",
  ] as const;
  await assertMistakes(place, "distill", { "--resume first": says });
});
