/** User errors and damaged files: each ends with one line that says why, and changes no file. */

import assert from "node:assert/strict";
import { IDX_NAMES } from "../../experiments/data/idx.ts";
import { replacing } from "../replacing.ts";
import { oneThread, type TaskName, testTask, tinyNetwork, tinyRun } from "./cli.ts";
import { writeTinyIdx } from "./data/tiny_idx.ts";
import { withHeader } from "./mutations.ts";
import { assertRefused, drawing, type Says, testMistakes, trained } from "./refusals.ts";

const newRun = `${tinyRun} --out run`;
const cannot = "ConfigError: Cannot";

testMistakes("train:residual", {
  [newRun.replace("--data data", "--data nowhere")]:
    "DataError: Cannot read the data nowhere: it does not exist",
  [newRun.replace("--data data", "--data cut")]:
    "DataError: Cannot read cut/train-images-idx3-ubyte: it has 1000 ",
  [newRun.replace("--batch-size 8", "--batch-size 87")]: `${cannot} take batches of 87 images from 86`,
  [`${newRun.replace("--filters 8,16", "--filters 4")} --groups 4 --optimizer muon`]:
    `${cannot} use --optimizer muon with --filters 4: it is for convolutions of 3x3 between at least 8 channels`,
  [tinyNetwork.replace("--filters 8,16", "--filters 100000,200000")]:
    "TrainingError: Cannot train this network here: its ",
  [newRun]:
    "RunError: Cannot use run as run folder: it holds notes.txt (expected a new or empty folder; to continue ",
  [`${tinyRun} --out file/run`]: "RunError: Cannot create the run folder file/run: ",
  [`${newRun} --precision f16`]: "DeviceError: Cannot keep values in f16 on ",
  "--resume data": `${cannot} read data/config.json: there is no such file`,
  [`${newRun} --label-dropout 0.2`]:
    "ConfigError: --label-dropout has no effect without --conditional; remove it\n",
}, async (place) => {
  await writeTinyIdx(place.file("cut"));
  await Deno.truncate(place.file("cut", IDX_NAMES.trainImages), 1000);
  for (const path of ["run/notes.txt", "file"]) await place.write(path, "mine");
});

testTask("train refuses WebGPU without an adapter", async (place) => {
  // A backend that this system lacks. Deno reads the variable once, so a separate program is needed.
  const env = { DENO_WEBGPU_BACKEND: Deno.build.os === "windows" ? "metal" : "dx12" };
  const onGpu = newRun.replace(oneThread, "--device webgpu");
  const { code, stderr } = await place.runProgram("train:base", onGpu, env);
  assert.equal(code, 1);
  assert.match(stderr, /^DeviceError: No WebGPU adapter: .*--device cpu/);
});

testTask("tasks check before any work that they may write, and the folder of a file", async (place) => {
  const flags = {
    sample: "--checkpoint none --out nowhere/x.png",
    evaluate: "--checkpoint none --out nowhere/x.json",
    animate: "none --out nowhere/x.gif",
    report: "none --out nowhere/x.html",
    export: "--checkpoint none --out nowhere/x",
  };
  for (const [task, line] of Object.entries(flags) as [keyof typeof flags, string][]) {
    const file = line.split(" ").at(-1);
    const says = `RunError: Cannot write ${file}: there is no folder nowhere; make it first\n`;
    if (task !== "export") await assertRefused(place, { task, flags: line, says: [says] }); // it makes its folder
    const readOnly = () => Promise.reject(new Deno.errors.PermissionDenied("Permission denied"));
    using _ = replacing([Deno, { makeTempFile: readOnly }]);
    const denied = ["RunError: Cannot write to the folder ", ": permission denied\n"] as const;
    await assertRefused(place, { task, flags: line.replace("nowhere/", ""), says: denied });
  }
});

type Change = (bytes: Uint8Array<ArrayBuffer>) => Uint8Array;

/** Sets the last weights of a file. */
function withWeights(value: number, count = 1): Change {
  return (bytes) => {
    const view = new DataView(bytes.buffer);
    const start = 8 + Number(view.getBigUint64(0, true));
    for (let at = bytes.length - 4; at >= start && count > 0; at -= 4, count--) {
      view.setFloat32(at, value, true);
    }
    return bytes;
  };
}

const withMetadata = (name: string, value: unknown): Change => (bytes) =>
  withHeader(bytes, ({ __metadata__ }) => void (__metadata__[name] = JSON.stringify(value)));
const withProgress = (change: object): Change => (bytes) =>
  withHeader(bytes, ({ __metadata__: metadata }) => {
    metadata.progress = JSON.stringify({ ...JSON.parse(metadata.progress), ...change });
  });
const configured = (change: object): Change => (bytes) =>
  new TextEncoder().encode(JSON.stringify({ ...JSON.parse(new TextDecoder().decode(bytes)), ...change }));
const cut: Change = (bytes) => bytes.subarray(0, bytes.length - 4);
const unknownNetwork = withMetadata("config", { type: "UNet_MF", filters: [8, 16], t_emb: 8 });

const [config, state, last] = ["config.json", "state.safetensors", "last.safetensors"];
const noProgress = `StateError: Cannot resume run: run/${state} does not hold the progress of a run: `;
const unloadable = `StateError: Cannot load run/${last}: `;
const invalid = `CheckpointError: Cannot load run/${last}: `;

/** Damages to a file of a run, by the command that notices them. */
const damages: Readonly<Record<string, readonly (readonly [file: string, Change | undefined, ...Says])[]>> = {
  "train --resume run --max-steps 3": [
    [config, configured({ batchSise: 3 }), `ConfigError: Unknown field batchSise in run/${config} (did you `],
    [config, configured({ filters: [8, 24] }), "StateError: ", `run/${state}`], // of another network
    [config, configured({ optimizer: "sgd" }), "StateError: ", state, "sgd"],
    [state, cut, `SafetensorsError: Cannot read run/${state}: `, "truncated"],
    [state, withMetadata("progress", "{"), noProgress],
    [state, withWeights(NaN), `StateError: Cannot load run/${state}: `, "is NaN at index"],
    [state, withProgress({ step: "2" }), `${noProgress}step is "2"`],
    [
      ...[state, withProgress({ recentSteps: { losses: 5 } })] as const,
      `${noProgress}recentSteps is {"losses":5} (expected an object with losses`,
    ],
    [state, undefined, `RunError: Cannot resume run: cannot read run/${state}`, "no checkpoint yet"],
  ],
  [`sample ${drawing}`]: [
    [last, (bytes) => bytes.fill(255, 0, 8), `SafetensorsError: Cannot read run/${last}: `], // longer than the file
    [last, withMetadata("config", { type: "UNet_FM", filters: Array(1000).fill(4), t_emb: 8 }), unloadable],
    [last, unknownNetwork, invalid, "UNet_FM"],
    [last, withWeights(-Infinity), unloadable, "is -Infinity at index"],
    [
      ...[last, withWeights(1e30, Infinity), "RunError: Cannot draw samples: the network gives "] as const,
      ...["its weights are damaged", `(run/${last})`],
    ],
    [last, withMetadata("image_size", [0, 12]), `${invalid}its image_size is`],
  ],
  "report run --out page.html": [
    ["ema.safetensors", withWeights(NaN), "StateError: Cannot load run/ema.safetensors: "],
    ["early.safetensors", unknownNetwork, "CheckpointError: Cannot load run/early.safetensors: "],
  ],
};

for (const [command, rows] of Object.entries(damages)) {
  const [task, ...flags] = command.split(" ");
  testTask(`${task} refuses a damaged run in one line`, async (place) => {
    await trained(place);
    for (const [file, change, ...says] of rows) {
      const whole = await place.read("run", file);
      await Deno.remove(place.file("run", file));
      if (change) await Deno.writeFile(place.file("run", file), change(whole.slice()));
      await assertRefused(place, { task: task as TaskName, flags: flags.join(" "), says });
      await Deno.writeFile(place.file("run", file), whole);
    }
  });
}
