/** Slurm's programs are stand-in scripts that record their calls; bash runs the batch scripts. */

import assert from "node:assert/strict";
import { join } from "node:path";
import { submit } from "../../../../experiments/study/launch/slurm.ts";
import { withFolder } from "../../../folder.ts";
import { testNeeding } from "../../../permissions.ts";
import { testTask, type Workplace } from "../../cli.ts";
import { writeTinyIdx } from "../../data/tiny_idx.ts";
import { assertRefused } from "../../refusals.ts";
import { makePlan, writePlan } from "../tiny_study.ts";

async function writeProgram(folder: string, name: string, body: string): Promise<void> {
  await Deno.writeTextFile(join(folder, name), `#!/bin/bash\n${body}\n`, { mode: 0o755 });
}

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
        if (body !== undefined) await writeProgram(folder, "sbatch", body);
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

/** Runs a task of a submitted script, like a node. */
async function runTask(place: Workplace, job: string, index?: number): Promise<void> {
  const script = await Deno.readTextFile(place.file("bin", `script-${job}`));
  const { code, stderr } = await new Deno.Command("bash", {
    args: ["-c", script],
    env: {
      SLURM_ARRAY_JOB_ID: job,
      SLURM_CPUS_ON_NODE: "1",
      MLFLOW_TRACKING_URI: "",
      ...index !== undefined && { SLURM_ARRAY_TASK_ID: `${index}` },
    },
    stdin: "null",
    stdout: "null",
    stderr: "piped",
  }).output();
  assert.equal(code, 0, new TextDecoder().decode(stderr));
}

testTask(
  "study --launcher slurm submits cells neither finished nor queued, and its scripts run and collect them",
  async (place) => {
    await makePlan(place, { seeds: [1] });
    await Deno.mkdir(place.file("bin"));
    await writeProgram(
      place.file("bin"),
      "sbatch",
      `[ "$1" = --version ] && exit; cd "$\{0%/*}"; n=$(($(ls script-* 2>/dev/null | wc -l) + 1)); cat >script-$n; echo $n`,
    );
    await writeProgram(place.file("bin"), "squeue", `cat "$\{0%/*}/queue"`);
    const env = { PATH: `${place.file("bin")}:${Deno.env.get("PATH")}` };
    const flags = "plan.json --out far --launcher slurm --device cpu --threads 1";
    const first = await place.succeed("study", flags, env);
    assert.match(first.stderr, /^Submitted 2 cells as job 1; their output goes to .*\/far\/slurm$/m);
    assert.match(first.stderr, /^Submitted job 2 to collect the results; see squeue --jobs=1,2$/m);
    const note = JSON.parse(await Deno.readTextFile(place.file("far", "slurm", "submission-1.json")));
    assert.deepEqual([note.job, note.cells], ["1", ["base-s1", "residual-s1"]]);

    await runTask(place, "1", 0);
    await Deno.writeTextFile(place.file("bin", "queue"), "1 1 PD\n1 N/A R\n");
    const queued = await place.succeed("study", flags, env);
    assert.match(queued.stderr, /^far has 1 of 2 cells finished$/m);
    assert.match(queued.stderr, /^All 1 unfinished cells are already queued \(see squeue --name=far\)$/m);
    await Deno.writeTextFile(place.file("bin", "queue"), "1 1 CG\n"); // completing
    const again = await place.succeed("study", flags, env);
    assert.match(again.stderr, /^Submitted 1 cell as job 3; /m);
    await runTask(place, "4");
    const { unfinished, problems } = JSON.parse(await Deno.readTextFile(place.file("far", "results.json")));
    assert.deepEqual([unfinished, problems], [["residual-s1"], []]);
    await Deno.writeTextFile(place.file("far", "slurm", "submission-9.json"), "{}");
    await writePlan(place, { seeds: [1, 2] });
    const damaged = await place.run("study", flags, env);
    assert.match(damaged.stderr, /^RunError: Cannot read far\/slurm\/submission-9\.json: job is missing /m);
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
