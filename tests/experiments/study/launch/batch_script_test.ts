import assert from "node:assert/strict";
import { join } from "node:path";
import { defineSettings } from "../../../../experiments/settings/settings.ts";
import {
  arrayScript,
  collectScript,
  type Submission,
} from "../../../../experiments/study/launch/batch_script.ts";
import {
  secondsOfLimit,
  slurmFlags,
  slurmProfile,
} from "../../../../experiments/study/launch/launch_flags.ts";
import { withFolder } from "../../../folder.ts";
import { testNeeding } from "../../../permissions.ts";

const submission: Submission = {
  name: "study-networks",
  logs: "/studies/networks/slurm",
  directory: "/checkout",
  command: ["deno", "run", "study.ts", "/studies/networks"],
  device: "webgpu",
  threads: null,
};
const plain = slurmProfile.resolve({});

Deno.test("arrayScript() asks for what is given, and leaves the rest to Slurm", () => {
  const directives = (script: string) => script.split("\n").filter((line) => line.startsWith("#SBATCH"));
  assert.deepEqual(directives(arrayScript(submission, ["a", "b", "c"], plain)), [
    "#SBATCH --job-name=study-networks",
    "#SBATCH --array=0-2",
    "#SBATCH --output=/studies/networks/slurm/%A_%a.log",
    "#SBATCH --open-mode=append",
    "#SBATCH --requeue",
    "#SBATCH --signal=B:USR1@120",
  ]);
  const given = { partition: "gpu", time: "4:00:00", gpus: "a100:1", cpus: 8, memory: "16G", maxTasks: 2 };
  const job = slurmProfile.resolve({ ...given, account: "lab", qos: "long", constraint: "a100|h100" });
  assert.deepEqual(directives(arrayScript(submission, ["a", "b", "c"], job)), [
    "#SBATCH --job-name=study-networks",
    "#SBATCH --array=0-2%2",
    "#SBATCH --output=/studies/networks/slurm/%A_%a.log",
    "#SBATCH --open-mode=append",
    "#SBATCH --requeue",
    "#SBATCH --signal=B:USR1@120",
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

Deno.test("collectScript() waits for the array and for other collections, and asks for no GPU", () => {
  const script = collectScript(submission, "12", slurmProfile.resolve({ gpus: "1", partition: "gpu" }));
  assert.match(script, /^#SBATCH --job-name=study-networks-collect$/m);
  assert.match(script, /^#SBATCH --dependency="?afterany:12,singleton"?$/m);
  assert.match(script, /^#SBATCH --partition=gpu$/m);
  assert.doesNotMatch(script, /gpus/);
  assert.match(
    script,
    /^exec deno run study.ts \/studies\/networks --device cpu --threads "\$threads" --collect$/m,
  );
});

Deno.test("arrayScript() refuses a folder that sbatch cannot be told", () => {
  assert.match(
    arrayScript({ ...submission, logs: "/a b/5%" }, ["a"], plain),
    /--output="\/a b\/5%%\/%A_%a\.log"$/m,
  );
  for (const logs of ['/a"b', "/a\\b", "/a\n#SBATCH --wrap=id"]) {
    assert.throws(
      () => arrayScript({ ...submission, logs }, ["a"], plain),
      /^ConfigError: Cannot submit the study in /,
    );
  }
});

/** Programs of a task: the command `cell` and Slurm's `scontrol`, which note how they are called. */
async function runTask(
  folder: string,
  cell: string,
  change: Partial<Submission>,
  whileRunning?: (task: Deno.ChildProcess) => Promise<void>,
): Promise<{ code: number; calls: string[] }> {
  const program = async (name: string, body: string) => {
    await Deno.writeTextFile(join(folder, name), `#!/bin/bash\n${body}\n`, { mode: 0o755 });
  };
  const note = `printf '%s\\n' "\${0##*/}" "$@" >>"${folder}/calls"`;
  await program("cell", `${note}\n${cell}`);
  await program("scontrol", note);
  const script = arrayScript({ ...submission, directory: folder, command: ["cell"], ...change }, [
    "a",
    "b'$(id) c",
  ], {
    ...plain,
    setup: [`export PATH=${folder}:$PATH`],
  });
  const task = new Deno.Command("bash", {
    args: ["-c", script],
    env: { SLURM_ARRAY_JOB_ID: "12", SLURM_ARRAY_TASK_ID: "1", SLURM_CPUS_ON_NODE: "3" },
    stdin: "null",
    stdout: "null",
    stderr: "inherit",
  }).spawn();
  await whileRunning?.(task);
  const { code } = await task.status;
  return { code, calls: (await Deno.readTextFile(join(folder, "calls"))).trimEnd().split("\n") };
}

function testTaskOf(name: string, test: (folder: string) => Promise<void>): void {
  testNeeding({ read: true, write: true, run: true }, name, () => withFolder(test));
}

testTaskOf("a task of arrayScript() runs its own cell, whatever is in names and paths", async (folder) => {
  const command = ["cell", "/a'b", "$(touch x)", '"', "`touch y`; touch z", "*"];
  assert.deepEqual(await runTask(folder, "exit 5", { command }), {
    code: 5,
    calls: [...command, "--device", "webgpu", "--threads", "3", "--only", "b'$(id) c"],
  });
  const names = await Array.fromAsync(Deno.readDir(folder), ({ name }) => name);
  assert.deepEqual(names.sort(), ["calls", "cell", "scontrol"]);
});

/** Sends a signal once the cell runs. */
function sending(folder: string, signal: Deno.Signal) {
  return async (task: Deno.ChildProcess) => {
    while (!await Deno.stat(join(folder, "ready")).then(() => true, () => false)) {
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    task.kill(signal);
  };
}

const saves = (code: number) =>
  `trap 'exit ${code}' TERM; touch "\${0%/*}/ready"; for i in {1..600}; do sleep 0.05; done`;
const called = ["cell", "--device", "webgpu", "--threads", "2", "--only", "b'$(id) c"];

testTaskOf(
  "a task of arrayScript() that comes near its limit lets its cell save and is queued again",
  async (folder) => {
    assert.deepEqual(await runTask(folder, saves(143), { threads: 2 }, sending(folder, "SIGUSR1")), {
      code: 143,
      calls: [...called, "scontrol", "requeue", "12_1"],
    });
  },
);

testTaskOf("a task of arrayScript() that ends before its limit is not queued again", async (folder) => {
  assert.deepEqual(await runTask(folder, saves(0), { threads: 2 }, sending(folder, "SIGUSR1")), {
    code: 0,
    calls: called,
  });
});

testTaskOf("a task of arrayScript() whose cell another program holds is queued again", async (folder) => {
  assert.deepEqual(await runTask(folder, "exit 75", { threads: 2 }), {
    code: 75,
    calls: [...called, "scontrol", "requeue", "12_1"],
  });
});

testTaskOf(
  "a task of arrayScript() that is cancelled waits for its cell and is not queued again",
  async (folder) => {
    const cell = `touch "\${0%/*}/ready"; sleep 0.5; echo saved >>"\${0%/*}/calls"; exit 143`;
    assert.deepEqual(await runTask(folder, cell, { threads: 2 }, sending(folder, "SIGTERM")), {
      code: 143,
      calls: [...called, "saved"],
    });
  },
);

Deno.test("secondsOfLimit() reads the formats of Slurm", () => {
  const limits = {
    "30": 1800,
    "30:15": 1815,
    "4:00:00": 14_400,
    "1-0": 86_400,
    "2-12": 216_000,
    "1-02:30": 95_400,
    "1-02:30:05": 95_405,
  };
  for (const [text, seconds] of Object.entries(limits)) assert.equal(secondsOfLimit(text), seconds, text);
  for (const text of ["", "4h", "1-", "-5", "1:2:3:4", "infinite", "10 "]) {
    assert.equal(secondsOfLimit(text), undefined, text);
  }
});

Deno.test("slurmFlags take what clusters are given", () => {
  const words = "--partition gpu,gpu-long --account lab.7 --qos normal --time 2-12 --gpus a100:2 --cpus 8 " +
    "--memory 16G --constraint a100|h100 --max-tasks 4 --profile slurm.json";
  assert.deepEqual(defineSettings(slurmFlags).parse(words.split(" ")).values, {
    partition: "gpu,gpu-long",
    account: "lab.7",
    qos: "normal",
    time: "2-12",
    gpus: "a100:2",
    cpus: 8,
    memory: "16G",
    constraint: "a100|h100",
    maxTasks: 4,
    profile: "slurm.json",
  });
});

Deno.test("slurmFlags take nothing that would be more than one value to sbatch or bash", () => {
  const hostile = ["a b", 'a"b', "a'b", "a`id`", "a$(id)", "a;id", "a\nb", "a\\b", "-a b", "a #b", ""];
  for (const name of ["partition", "account", "qos", "time", "gpus", "cpus", "memory", "constraint"]) {
    for (const value of hostile) {
      assert.throws(
        () => defineSettings(slurmFlags).parse([`--${name}=${value}`]),
        /^ConfigError: Cannot use /,
        value,
      );
    }
  }
});

Deno.test("slurmFlags take no time limit that ends before a cell could save", () => {
  for (const limit of ["4", "4:59", "0-0", "0"]) {
    assert.throws(() => defineSettings(slurmFlags).parse(["--time", limit]), {
      message:
        `Cannot use --time "${limit}": expected at least 5 minutes as MINUTES, HOURS:MINUTES:SECONDS ` +
        "or DAYS-HOURS, such as 30, 4:00:00 or 2-12",
    });
  }
  assert.equal(defineSettings(slurmFlags).parse(["--time", "5"]).values.time, "5");
});

Deno.test("slurmProfile holds lines of shell, each a line", () => {
  const { setup, partition, gpus } = slurmProfile.read(
    { setup: ["module load vulkan"], partition: "gpu" },
    "slurm.json",
  );
  assert.deepEqual([setup, partition, gpus], [["module load vulkan"], "gpu", null]);
  for (const setup of ["module load vulkan", [1], ["a\nb"], [""]]) {
    assert.throws(() => slurmProfile.read({ setup }, "slurm.json"), {
      message: `Cannot use setup ${JSON.stringify(setup)} in slurm.json: expected an array of lines of text`,
    });
  }
  assert.throws(() => slurmProfile.read({ partitoin: "gpu" }, "slurm.json"), {
    message: "Unknown field partitoin in slurm.json (did you mean partition?)",
  });
});
