import assert from "node:assert/strict";
import { join } from "node:path";
import { defineSettings } from "../../../experiments/cli/settings.ts";
import { arrayScript, collectScript, type Submission } from "../../../experiments/study/batch_script.ts";
import { secondsOfLimit, slurmFlags, slurmProfile } from "../../../experiments/study/launcher.ts";
import { withFolder } from "../../folder.ts";
import { testNeeding } from "../../permissions.ts";

const submission: Submission = {
  name: "study-networks",
  logs: "/studies/networks/slurm",
  directory: "/checkout",
  command: ["deno", "run", "study.ts", "/studies/networks"],
  device: "webgpu",
  threads: null,
  job: slurmProfile.resolve({}),
};
const directives = (script: string) => script.split("\n").filter((line) => line.startsWith("#SBATCH"));

Deno.test("arrayScript() requests the configured resources, and leaves others to Slurm", () => {
  const always = [
    "#SBATCH --output=/studies/networks/slurm/%A_%a.log",
    "#SBATCH --open-mode=append",
    "#SBATCH --requeue",
    "#SBATCH --signal=B:USR1@120",
  ];
  const cells = ["a", "b", "c"];
  const name = "#SBATCH --job-name=study-networks";
  assert.deepEqual(directives(arrayScript(submission, cells)), [name, "#SBATCH --array=0-2", ...always]);
  const given = { partition: "gpu", time: "4:00:00", gpus: "a100:1", cpus: 8, memory: "16G", maxTasks: 2 };
  const job = slurmProfile.resolve({ ...given, account: "lab", qos: "long", constraint: "a100|h100" });
  assert.deepEqual(directives(arrayScript({ ...submission, job }, cells)), [
    name,
    "#SBATCH --array=0-2%2",
    ...always,
    "#SBATCH --partition=gpu",
    "#SBATCH --account=lab",
    "#SBATCH --qos=long",
    "#SBATCH --time=4:00:00",
    "#SBATCH --cpus-per-task=8",
    "#SBATCH --mem=16G",
    "#SBATCH --gpus=a100:1",
    '#SBATCH --constraint="a100|h100"',
  ]);
});

Deno.test("collectScript() waits for the array and for other collections, and requests no GPU", () => {
  const job = slurmProfile.resolve({ gpus: "1", partition: "gpu" });
  const script = collectScript({ ...submission, job }, "12");
  assert.deepEqual(directives(script), [
    "#SBATCH --job-name=study-networks-collect",
    "#SBATCH --dependency=afterany:12,singleton",
    "#SBATCH --output=/studies/networks/slurm/%j-collect.log",
    "#SBATCH --partition=gpu",
  ]);
  const command = 'deno run study.ts /studies/networks --device cpu --threads "$threads" --collect';
  assert.ok(script.endsWith(`\nexec ${command}\n`), script);
});

Deno.test("arrayScript() rejects a folder that sbatch does not accept", () => {
  const script = arrayScript({ ...submission, logs: "/a b/5%" }, ["a"]);
  assert.match(script, /--output="\/a b\/5%%\/%A_%a\.log"$/m);
  for (const logs of ['/a"b', "/a\\b", "/a\n#SBATCH --wrap=id"]) {
    assert.throws(
      () => arrayScript({ ...submission, logs }, ["a"]),
      /^ConfigError: Cannot submit the study in /,
    );
  }
});

/**
 * Runs a task with the programs `cell` and `scontrol`, which record their arguments.
 *
 * @param signal sent once the cell is ready
 */
async function runTask(folder: string, cell: string, change: Partial<Submission>, signal?: Deno.Signal) {
  const note = `printf '%s\\n' "\${0##*/}" "$@" >>"${folder}/calls"`;
  for (const [name, body] of [["cell", `${note}\n${cell}`], ["scontrol", note]]) {
    await Deno.writeTextFile(join(folder, name), `#!/bin/bash\n${body}\n`, { mode: 0o755 });
  }
  const job = { ...submission.job, setup: [`export PATH=${folder}:$PATH`] };
  const given = { ...submission, job, directory: folder, command: ["cell"], ...change };
  const task = new Deno.Command("bash", {
    args: ["-c", arrayScript(given, ["a", "b'$(id) c"])],
    env: { SLURM_ARRAY_JOB_ID: "12", SLURM_ARRAY_TASK_ID: "1", SLURM_CPUS_ON_NODE: "3" },
    stdin: "null",
    stdout: "null",
    stderr: "inherit",
  }).spawn();
  const isReady = () => Deno.stat(join(folder, "ready")).then(() => true, () => false);
  while (signal && !await isReady()) await new Promise((resolve) => setTimeout(resolve, 20));
  if (signal) task.kill(signal);
  const { code } = await task.status;
  return { code, calls: (await Deno.readTextFile(join(folder, "calls"))).trimEnd().split("\n") };
}

const needs = { read: true, write: true, run: true } as const;

testNeeding(
  needs,
  "a task of arrayScript() runs its own cell, regardless of special characters in names and paths",
  () =>
    withFolder(async (folder) => {
      const command = ["cell", "/a'b", "$(touch x)", '"', "`touch y`; touch z", "*"];
      assert.deepEqual(await runTask(folder, "exit 5", { command }), {
        code: 5,
        calls: [...command, "--device", "webgpu", "--threads", "3", "--only", "b'$(id) c"],
      });
      const names = await Array.fromAsync(Deno.readDir(folder), ({ name }) => name);
      assert.deepEqual(names.sort(), ["calls", "cell", "scontrol"]);
    }),
);

const savesAndExits = (code: number) =>
  `trap 'exit ${code}' TERM; touch "\${0%/*}/ready"; for i in {1..600}; do sleep 0.05; done`;
const savesSlowly = `touch "\${0%/*}/ready"; sleep 0.5; echo saved >>"\${0%/*}/calls"; exit 143`;
const requeued = ["scontrol", "requeue", "12_1"];

const ends: readonly [
  what: string,
  cell: string,
  signal: Deno.Signal | undefined,
  code: number,
  calls: string[],
][] = [
  ["near its limit it saves and is requeued", savesAndExits(143), "SIGUSR1", 143, requeued],
  ["it ends before its limit", savesAndExits(0), "SIGUSR1", 0, []],
  ["another program holds its cell", "exit 75", undefined, 75, requeued],
  ["it is cancelled, and waits for its cell", savesSlowly, "SIGTERM", 143, ["saved"]],
];

testNeeding(
  needs,
  "a task of arrayScript() waits for its cell, and is requeued only if that helps",
  async () => {
    for (const [what, cell, signal, code, calls] of ends) {
      await withFolder(async (folder) => {
        const called = ["cell", "--device", "webgpu", "--threads", "2", "--only", "b'$(id) c"];
        const ended = await runTask(folder, cell, { threads: 2 }, signal);
        assert.deepEqual(ended, { code, calls: [...called, ...calls] }, what);
      });
    }
  },
);

Deno.test("secondsOfLimit() reads Slurm's formats", () => {
  const limits = { "30": 1800, "30:15": 1815, "4:00:00": 14_400, "1-0": 86_400, "2-12": 216_000 };
  const longer = { "1-02:30": 95_400, "1-02:30:05": 95_405 };
  for (const [text, seconds] of Object.entries({ ...limits, ...longer })) {
    assert.equal(secondsOfLimit(text), seconds, text);
  }
  for (const text of ["", "4h", "1-", "-5", "1:2:3:4", "infinite", "10 "]) {
    assert.equal(secondsOfLimit(text), undefined, text);
  }
});

const parse = (...argv: string[]) => defineSettings(slurmFlags).parse(argv).values;

Deno.test("slurmFlags accept usual values, but none that sbatch or bash would split", () => {
  const given: Readonly<Record<string, string>> = {
    ...{ partition: "gpu,gpu-long", account: "lab.7", qos: "normal", time: "2-12", gpus: "a100:2" },
    ...{ memory: "16G", constraint: "a100|h100" },
  };
  const hostile = ["a b", 'a"b', "a'b", "a`id`", "a$(id)", "a;id", "a\nb", "a\\b", "-a b", "a #b", ""];
  for (const [name, value] of Object.entries(given)) {
    assert.deepEqual(parse(`--${name}`, value), { [name]: value });
    for (const bad of hostile) {
      assert.throws(() => parse(`--${name}=${bad}`), /^ConfigError: Cannot use /, bad);
    }
  }
  const numbers = { cpus: 8, maxTasks: 4, profile: "slurm.json" };
  assert.deepEqual(parse(..."--cpus 8 --max-tasks 4 --profile slurm.json".split(" ")), numbers);
  assert.equal(parse("--time", "5").time, "5");
  for (const limit of ["4", "4:59", "0-0", "0"]) { // a cell could not save in time
    assert.throws(
      () => parse("--time", limit),
      /: expected at least 5 minutes as MINUTES, HOURS:MINUTES:SECONDS /,
    );
  }
});

Deno.test("slurmProfile takes shell lines as a list of single lines", () => {
  const read = (json: object) => slurmProfile.read(json, "slurm.json");
  const { setup, partition, gpus } = read({ setup: ["module load vulkan"], partition: "gpu" });
  assert.deepEqual([setup, partition, gpus], [["module load vulkan"], "gpu", null]);
  for (const setup of ["module load vulkan", [1], ["a\nb"], [""]]) {
    assert.throws(() => read({ setup }), {
      message: `Cannot use setup ${JSON.stringify(setup)} in slurm.json: expected an array of lines of text`,
    });
  }
  assert.throws(() => read({ partitoin: "gpu" }), {
    message: "Unknown field partitoin in slurm.json (did you mean partition?)",
  });
});
