/** What `--launcher slurm` says and refuses, which needs no Slurm. */

import assert from "node:assert/strict";
import { testTask } from "../cli.ts";
import { writeTinyIdx } from "../data/tiny_idx.ts";
import { writePlan } from "./tiny_study.ts";

const slurm = "plan.json --launcher slurm";
const nothing = { PATH: "/nowhere" };

testTask(
  "study --launcher slurm --dry-run prints the batch scripts, and neither writes nor needs Slurm",
  async (place) => {
    await writeTinyIdx(place.file("data"), { train: 300, test: 360, classes: 4 });
    await writePlan(place);
    const profile = { partition: "gpu", gpus: "1", time: "30", maxTasks: 2, setup: ["module load vulkan"] };
    await Deno.writeTextFile(place.file("slurm.json"), JSON.stringify(profile));
    const flags =
      `${slurm} --out a --profile slurm.json --partition long --experiment my$(id) --device cpu --dry-run`;
    const { stdout } = await place.succeed("study", flags, nothing);
    const [, array, collection] = stdout.split(/^#!\/bin\/bash$/m);
    assert.match(array, /^#SBATCH --partition=long$/m); // flags go before the profile
    assert.match(array, /^#SBATCH --array=0-3%2$/m);
    assert.match(array, /^#SBATCH --gpus=1$/m);
    assert.match(array, /^module load vulkan$/m);
    assert.match(array, /^cells=\(base-s1 residual-s1 base-s2 residual-s2\)$/m);
    assert.match(array, / --experiment 'my\$\(id\)' --device cpu --threads "\$threads" --only /);
    assert.match(collection, /^#SBATCH --dependency=afterany:ID_OF_THE_ARRAY,singleton$/m);
    assert.match(collection, / --collect$/m);
    assert.deepEqual(await place.names(), ["data", "plan.json", "slurm.json"]);
  },
);

testTask("study --launcher slurm says in one line what it cannot use, and writes nothing", async (place) => {
  await writePlan(place);
  await Deno.writeTextFile(place.file("odd.json"), '{"partition":"a b"}');
  await Deno.writeTextFile(place.file("text.json"), "partition=gpu");
  const cases: [flags: string, env: Record<string, string>, message: RegExp][] = [
    [
      slurm,
      nothing,
      /^SlurmError: Cannot submit the study: there is no sbatch here \(expected the login node /,
    ],
    [
      slurm,
      { LD_LIBRARY_PATH: "/opt/lib" },
      /^SlurmError: Cannot submit the study: (there is no|Deno starts no) sbatch /,
    ],
    [
      `${slurm} --profile none.json`,
      nothing,
      /^ConfigError: Cannot read the profile none.json: there is no such file$/,
    ],
    [
      `${slurm} --profile text.json`,
      nothing,
      /^ConfigError: Cannot read the profile text.json: it holds no JSON$/,
    ],
    [
      `${slurm} --profile odd.json`,
      nothing,
      /^ConfigError: Cannot use partition "a b" in odd.json: expected /,
    ],
    [
      `${slurm} --jobs 2`,
      nothing,
      /^ConfigError: Cannot use --jobs with --launcher slurm: it has no effect there /,
    ],
    [
      "plan.json --gpus 1",
      nothing,
      /^ConfigError: Cannot use --gpus with --launcher local: it has no effect there /,
    ],
  ];
  for (const [flags, env, message] of cases) {
    const { code, stderr } = await place.runProgram("study", flags, env);
    assert.equal(code, 1, flags);
    assert.match(stderr.trimEnd(), new RegExp(`${message.source.replace(/\$$/, "")}.*$`), flags);
    assert.equal(stderr.trimEnd().split("\n").length, 1, stderr);
  }
  assert.deepEqual(await place.names(), ["data", "odd.json", "plan.json", "text.json"]);
});
