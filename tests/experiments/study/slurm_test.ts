import assert from "node:assert/strict";
import { join } from "node:path";
import { submit } from "../../../experiments/study/slurm.ts";
import { withFolder } from "../../folder.ts";
import { testNeeding } from "../../permissions.ts";
import { testTask } from "../cli.ts";
import { writeTinyIdx } from "../data/tiny_idx.ts";
import { assertRefused } from "../refusals.ts";
import { writePlan } from "./tiny_study.ts";

testNeeding(
  { read: true, write: true, run: true },
  "submit() passes a script to sbatch and reads its output",
  async () => {
    const noted = `echo "$@" >"$FOLDER/words"; echo "$(</dev/stdin)" >"$FOLDER/script"`;
    const refusal =
      'echo "sbatch: error: Invalid account" >&2; echo "sbatch: error: Batch job submission failed" >&2';
    const answers: readonly [body: string | undefined, answer: string][] = [
      [`${noted}; echo 1234`, "1234"],
      [`${noted}; echo "1234;cluster"`, "1234"],
      ["echo Submitted batch job 12", 'sbatch printed "Submitted batch job 12" (expected the id of a job)'],
      // Exits before it has read its input.
      [`${refusal}; exit 1`, "sbatch failed: Invalid account; Batch job submission failed"],
      [
        undefined,
        "there is no sbatch here (expected the login node of a Slurm cluster; --launcher local runs the study on this " +
        "machine, --dry-run prints the batch script)",
      ],
    ];
    const script = "#!/bin/bash\n" + "# long\n".repeat(100_000);
    for (const [body, answer] of answers) {
      await withFolder(async (folder) => {
        if (body !== undefined) {
          await Deno.writeTextFile(join(folder, "sbatch"), `#!/bin/bash\n${body}\n`, { mode: 0o755 });
        }
        const submitted = submit(script, { PATH: folder, FOLDER: folder });
        if (answer !== "1234") {
          await assert.rejects(submitted, {
            name: "SlurmError",
            message: `Cannot submit the study: ${answer}`,
          });
          return;
        }
        assert.equal(await submitted, answer);
        assert.equal(await Deno.readTextFile(join(folder, "words")), "--parsable\n");
        assert.equal(await Deno.readTextFile(join(folder, "script")), script);
      });
    }
  },
);

const slurm = "plan.json --launcher slurm";
const noSlurm = { PATH: "/nowhere" };

testTask(
  "study --launcher slurm --dry-run prints the batch scripts, writes nothing and does not need Slurm",
  async (place) => {
    await writeTinyIdx(place.file("data"), { train: 300, test: 360, classes: 4 });
    await writePlan(place);
    const profile = { partition: "gpu", gpus: "1", time: "30", maxTasks: 2, setup: ["module load vulkan"] };
    await Deno.writeTextFile(place.file("slurm.json"), JSON.stringify(profile));
    const flags =
      `${slurm} --out a --profile slurm.json --partition long --experiment my$(id) --device cpu --dry-run`;
    const { stdout } = await place.succeed("study", flags, noSlurm);
    const [, array, collection] = stdout.split(/^#!\/bin\/bash$/m);
    assert.match(array, /^#SBATCH --partition=long$/m); // flags override the profile
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

testTask("study --launcher slurm reports invalid input in one line, and writes nothing", async (place) => {
  await writePlan(place);
  await Deno.writeTextFile(place.file("odd.json"), '{"partition":"a b"}');
  await Deno.writeTextFile(place.file("text.json"), "partition=gpu");
  const cases: readonly [flags: string, begin: string, ...pieces: string[]][] = [
    [slurm, "SlurmError: Cannot submit the study: there is no sbatch here (expected the login node "],
    [`${slurm} --profile none.json`, "RunError: Cannot read the profile none.json: no such file"],
    [`${slurm} --profile text.json`, "RunError: Cannot read ", "/text.json: it is not a JSON object"],
    [`${slurm} --profile odd.json`, 'ConfigError: Cannot use partition "a b" in odd.json: expected '],
    [`${slurm} --jobs 2`, "ConfigError: Cannot use --jobs with --launcher slurm: it has no effect there "],
    ["plan.json --gpus 1", "ConfigError: Cannot use --gpus with --launcher local: it has no effect there "],
  ];
  for (const [flags, ...says] of cases) {
    await assertRefused(place, { task: "study", flags, says, env: noSlurm });
  }
  // A separate program, because permissions apply to a whole program.
  const { code, stderr } = await place.runProgram("study", slurm, { LD_LIBRARY_PATH: "/opt/lib" });
  assert.equal(code, 1);
  assert.match(stderr, /^SlurmError: Cannot submit the study: (there is no|Deno cannot start) sbatch .*\n$/);
});
