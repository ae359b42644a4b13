import assert from "node:assert/strict";
import { defineSettings } from "../../../../experiments/settings/settings.ts";
import {
  secondsOfLimit,
  slurmFlags,
  slurmProfile,
} from "../../../../experiments/study/launch/launch_flags.ts";

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
