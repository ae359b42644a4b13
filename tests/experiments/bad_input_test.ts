/** What a user can get wrong: each ends in one line that says so, and changes no file. */

import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { IDX_NAMES } from "../../experiments/data/idx_folder.ts";
import { anyOf } from "../../experiments/settings/kinds.ts";
import { solvers } from "../../models/mod.ts";
import { oneThread, testTask, tinyNetwork, tinyRun, type Workplace } from "./cli.ts";
import { assertRefused, drawing, testRefusals } from "./refusals.ts";

/** Rewrites a file of the data set. */
function changed(name: string, change: (bytes: Uint8Array) => Uint8Array) {
  return async (place: Workplace) => {
    const path = join("data", name);
    await Deno.writeFile(place.file(path), change(await place.read(path)));
  };
}

const newRun = `${tinyRun} --out run`;
const { trainImages, testLabels } = IDX_NAMES;

testRefusals("train refuses what cannot work, in one line", {
  "an IDX file that is cut short": {
    flags: newRun,
    prepare: changed(trainImages, (bytes) => bytes.subarray(0, 1000)),
    says: ["DataError: Cannot read ", trainImages, "it has 1000 bytes, too few"],
  },
  "an IDX file of another kind": {
    flags: newRun,
    prepare: changed(trainImages, (bytes) => bytes.with(3, 1)),
    says: ["DataError: Cannot read ", trainImages, "it begins with 0x00000801 (expected 0x00000803"],
  },
  "a folder that misses an IDX file": {
    flags: newRun,
    prepare: (place) => Deno.remove(place.file("data", testLabels)),
    says: ["DataError: Cannot find ", testLabels, "in data"],
  },
  "a data folder that does not exist": {
    flags: newRun.replace("--data data", "--data nowhere"),
    says: ["DataError: Cannot read the data folder nowhere: it does not exist"],
  },
  "an unknown preset": {
    flags: `${newRun} --preset papr`,
    says: ["ConfigError: Cannot use --preset", "quick, standard or paper", "did you mean paper?"],
  },
  "an unknown flag": {
    flags: `${newRun} --bach-size 3`,
    says: ["ConfigError: Unknown flag --bach-size", "did you mean --batch-size?"],
  },
  "an unknown solver": {
    flags: newRun.replace("--solver euler", "--solver eular"),
    says: ["ConfigError: Cannot use --solver", anyOf(Object.keys(solvers)), "did you mean euler?"],
  },
  "a batch larger than the data set": {
    flags: newRun.replace("--batch-size 8", "--batch-size 87"),
    says: ["ConfigError: Cannot take batches of 87 images from 86", "--batch-size"],
  },
  "groups that do not divide the channels": {
    task: "train:residual",
    flags: `${newRun} --groups 3`,
    says: ["ConfigError: Cannot use --groups 3 with --filters 8,16", "3 does not divide 8", "level 1"],
  },
  "muon for a network without a convolution that it updates": {
    task: "train:residual",
    flags: `${newRun.replace("--filters 8,16", "--filters 4")} --groups 4 --optimizer muon`,
    says: [
      "ConfigError: Cannot use --optimizer muon with --filters 4: ",
      "at least 8 channels",
      "(use adamw)",
    ],
  },
  "a run folder that holds something": {
    flags: newRun,
    prepare: async (place) => {
      await Deno.mkdir(place.file("run"));
      await Deno.writeTextFile(place.file("run", "notes.txt"), "mine");
    },
    says: ["RunError: Cannot use run as run folder: it holds notes.txt", "--resume run"],
  },
  "a run folder that cannot be made": {
    flags: `${tinyRun} --out file/run`,
    prepare: (place) => Deno.writeTextFile(place.file("file"), ""),
    says: ["RunError: Cannot create the run folder file/run: "],
  },
  "f16 on a device without it": {
    flags: `${newRun} --precision f16`,
    says: ["DeviceError: Cannot keep values in f16 on ", "it has no shader-f16 (expected precision f32)"],
  },
  "WebGPU where there is no adapter": {
    flags: newRun.replace(oneThread, "--device webgpu"),
    env: { DENO_WEBGPU_BACKEND: Deno.build.os === "windows" ? "metal" : "dx12" }, // what this system lacks
    says: ["DeviceError: No WebGPU adapter: ", "--device cpu"],
  },
  "to resume a folder that is no run": {
    flags: "--resume data",
    says: ["ConfigError: Cannot read data/config.json: there is no such file"],
  },
});

testRefusals("sample refuses what cannot work, in one line", {
  "more images than a picture can hold, before it draws any": {
    task: "sample",
    flags: `--checkpoint ${
      fileURLToPath(new URL("../../checkpoints/mnist_residual.safetensors", import.meta.url))
    } --count 1000000 --device cpu`,
    says: [
      "RunError: Cannot draw 1000000 images of 28 x 28 in one grid (expected at most 9073, or a file",
      ".npy",
    ],
  },
  "a checkpoint that does not exist": {
    task: "sample",
    flags: "--checkpoint nowhere.safetensors --device cpu",
    says: ["RunError: Cannot read the checkpoint nowhere.safetensors: "],
  },
  "an unknown solver": {
    task: "sample",
    flags: drawing.replace("heun", "hein"),
    says: ["ConfigError: Cannot use --solver", "did you mean heun?"],
  },
  "an output of another kind": {
    task: "sample",
    flags: `${drawing} --out grid.jpg`,
    says: ['ConfigError: Cannot use --out "grid.jpg": expected a path that ends with .png or .npy'],
  },
});

/** Flags by task: the file has no folder to go to, and what it would be made of is not there either. */
const nowhere = {
  sample: "--checkpoint none --out nowhere/x.png",
  evaluate: "--checkpoint none --out nowhere/x.json",
  solvers: "--checkpoint none --out nowhere/x.json",
  animate: "none --out nowhere/x.gif",
  compare: "none none --out nowhere/x.gif",
  report: "none --out nowhere/x.html",
} as const;
testTask("tasks refuse a file that has no folder to go to before they work", async (place) => {
  for (const [task, flags] of Object.entries(nowhere) as [keyof typeof nowhere, string][]) {
    const file = flags.split(" ").at(-1);
    const says = [`RunError: Cannot write ${file}: there is no folder nowhere; make it first\n`] as const;
    await assertRefused(place, { task, flags, says });
  }
});

testRefusals("overfit refuses what cannot work, in one line", {
  "more images in a batch than there are": {
    task: "overfit",
    flags: `${tinyNetwork} --images 7 --out result`,
    says: ["ConfigError: Cannot take batches of 8 images from 7 training images", "--batch-size"],
  },
  "a result folder that holds something": {
    task: "overfit",
    flags: `${tinyNetwork} --images 8 --out data`,
    says: ["RunError: Cannot use data as run folder"],
  },
});
