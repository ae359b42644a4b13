/** Runs of version 1.0 are read, resumed and repeated; `version_1/` holds one, and the settings of a distillation. */

import assert from "node:assert/strict";
import { cp } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { configIn, configJson, readConfig } from "../../experiments/settings/config_file.ts";
import { decodeSafetensors } from "../../models/mod.ts";
import { assertClose } from "../testing.ts";
import { testTask, type Workplace } from "./cli.ts";

const stored = fileURLToPath(new URL("version_1", import.meta.url));
const bring = (place: Workplace) => cp(stored, place.file("old"), { recursive: true });

testTask("the settings of runs of version 1.0 are read, and written alike", async (place) => {
  await bring(place);
  for (const name of ["config.json", "distillation.json"]) {
    const json = await place.json("old", name);
    assert.deepEqual(configJson(configIn(json, name)), json, name);
  }
  const { times, length, start } = readConfig(place.file("old"));
  assert.deepEqual([times.name, times.text], ["logit_normal", "logit_normal:mean=-0.5"]);
  assert.deepEqual(length, { epochs: 0, steps: 6, minutes: 0, replans: [] });
  assert.deepEqual(start, { kind: "fresh" });
  const { distillation } = readConfig(place.file("old", "distillation.json"));
  const { stages } = distillation!;
  assert.deepEqual(stages.map(({ name, settings }) => [name, settings.images]), [["pairs", 64], [
    "drift",
    64,
  ]]);
});

testTask("a run of version 1.0 is shown, drawn from, repeated and resumed", async (place) => {
  await bring(place);
  assert.match((await place.succeed("runs", "old")).stdout, /FINISHED/);
  await place.succeed("sample", "old --count 10 --device cpu --threads 1");
  await place.succeed("train", "--config old --out again");
  const valuesOf = async (run: string) => {
    const { tensors } = decodeSafetensors(await place.read(run, "last.safetensors"), run);
    return [...tensors.values()].flatMap(({ data }) => [...data]);
  };
  // Other processors round products in another way.
  assertClose(await valuesOf("again"), await valuesOf("old"), 1e-4);
  const { stderr } = await place.succeed("train", "--resume old --max-steps 9");
  assert.match(stderr, /\nstep 9, /);
  const steps = (await place.metrics("old")).flatMap(({ step, train_loss }) => train_loss ? [step] : []);
  assert.deepEqual(steps, [2, 4, 6, 8, 9]);
});
