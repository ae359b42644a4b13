/** User errors and damaged files: each ends with one line that says why, and changes no file. */

import assert from "node:assert/strict";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { IDX_NAMES } from "../../experiments/data/idx.ts";
import { oneThread, type TaskName, testTask, tinyNetwork, tinyRun, type Workplace } from "./cli.ts";
import { replacing } from "../replacing.ts";
import { assertRefused, type BadCommand, drawing, testRefusals, trained } from "./refusals.ts";

type Change = (bytes: Uint8Array<ArrayBuffer>) => Uint8Array;
type Says = readonly [string, ...string[]];

async function rewrite(place: Workplace, path: string, change: Change): Promise<void> {
  await Deno.writeFile(place.file(path), change(await place.read(path)));
}

const newRun = `${tinyRun} --out run`;
const command = (task: TaskName, flags: string, says: Says, prepare?: BadCommand["prepare"]): BadCommand => ({
  ...{ task, flags, says },
  ...prepare && { prepare },
});
const training = (flags: string, says: Says, prepare?: BadCommand["prepare"]) =>
  command("train:residual", flags, says, prepare);
const withFile = (path: string) => async (place: Workplace) => {
  await Deno.mkdir(dirname(place.file(path)), { recursive: true });
  await Deno.writeTextFile(place.file(path), "mine");
};

testRefusals("train refuses invalid input in one line", {
  "a truncated IDX file": training(
    newRun,
    ["DataError: Cannot read ", "it has 1000 bytes, too few"],
    (place) => rewrite(place, join("data", IDX_NAMES.trainImages), (bytes) => bytes.subarray(0, 1000)),
  ),
  "a missing data folder": training(newRun.replace("--data data", "--data nowhere"), [
    "DataError: Cannot read the data nowhere: it does not exist",
  ]),
  "a batch larger than the data set": training(newRun.replace("--batch-size 8", "--batch-size 87"), [
    "ConfigError: Cannot take batches of 87 images from 86",
    "--batch-size",
  ]),
  "muon for a network without a convolution that it updates": training(
    `${newRun.replace("--filters 8,16", "--filters 4")} --groups 4 --optimizer muon`,
    ["ConfigError: Cannot use --optimizer muon with --filters 4: ", "at least 8 channels", "(use adamw)"],
  ),
  "a network that is too large for any device": training(
    tinyNetwork.replace("--filters 8,16", "--filters 100000,200000") + " --out run",
    ["TrainingError: Cannot train this network here: its ", "parameters and their gradients take "],
  ),
  "a run folder that is not empty": training(
    newRun,
    ["RunError: Cannot use run as run folder: it holds notes.txt", "--resume run"],
    withFile("run/notes.txt"),
  ),
  "a run folder that cannot be created": training(
    `${tinyRun} --out file/run`,
    ["RunError: Cannot create the run folder file/run: "],
    withFile("file"),
  ),
  "f16 on a device without it": training(`${newRun} --precision f16`, [
    "DeviceError: Cannot keep values in f16 on ",
    "it has no shader-f16 (expected precision f32)",
  ]),
  "to resume a folder that is not a run": training("--resume data", [
    "ConfigError: Cannot read data/config.json: there is no such file",
  ]),
});

testTask("train refuses WebGPU without an adapter", async (place) => {
  // A backend that this system lacks. Deno reads the variable once, so a separate program is needed.
  const env = { DENO_WEBGPU_BACKEND: Deno.build.os === "windows" ? "metal" : "dx12" };
  const { code, stderr } = await place.runProgram(
    "train:base",
    newRun.replace(oneThread, "--device webgpu"),
    env,
  );
  if (code !== 1 || !/^DeviceError: No WebGPU adapter: .*--device cpu/.test(stderr)) throw new Error(stderr);
});

const stored = fileURLToPath(new URL("../../checkpoints/mnist_residual.safetensors", import.meta.url));

testRefusals("sample refuses invalid input in one line", {
  "more images than a picture can hold": command(
    "sample",
    `--checkpoint ${stored} --count 1000000 --device cpu`,
    [
      "RunError: Cannot draw 1000000 images of 28 x 28 in one grid (expected at most 9073, or a file",
      ".npy",
    ],
  ),
  "a checkpoint that does not exist": command("sample", "--checkpoint nowhere.safetensors --device cpu", [
    "RunError: Cannot read the checkpoint nowhere.safetensors: ",
  ]),
  "more images than fit in memory": command("sample", "--checkpoint none --count 5000000000", [
    'ConfigError: Cannot use --count "5000000000": expected ',
  ]),
});

/** Flags by task. The file's folder is missing, and so is its source, which must not matter. */
const nowhere = {
  sample: "--checkpoint none --out nowhere/x.png",
  evaluate: "--checkpoint none --out nowhere/x.json",
  animate: "none --out nowhere/x.gif",
  report: "none --out nowhere/x.html",
} as const;
testTask("tasks check the folder of their output before any work", async (place) => {
  for (const [task, flags] of Object.entries(nowhere) as [keyof typeof nowhere, string][]) {
    const file = flags.split(" ").at(-1);
    const says = [`RunError: Cannot write ${file}: there is no folder nowhere; make it first\n`] as const;
    await assertRefused(place, { task, flags, says });
  }
});

testTask("tasks check that they may write before any work", async (place) => {
  const readOnly = () => Promise.reject(new Deno.errors.PermissionDenied("Permission denied"));
  using _ = replacing([Deno, { makeTempFile: readOnly }]);
  const flags = { ...nowhere, export: "--checkpoint none --out nowhere" };
  for (const [task, line] of Object.entries(flags) as [keyof typeof flags, string][]) {
    const says = ["RunError: Cannot write to the folder ", ": permission denied\n"] as const;
    await assertRefused(place, { task, flags: line.replace("nowhere/", ""), says });
  }
  assert.deepEqual(await place.names(), ["data"]);
});

/** Changes a field of a run's `config.json`. */
const configured = (change: Record<string, unknown>) => async (place: Workplace) => {
  await trained(place);
  const text = await Deno.readTextFile(place.file("run", "config.json"));
  await Deno.writeTextFile(
    place.file("run", "config.json"),
    JSON.stringify({ ...JSON.parse(text), ...change }),
  );
};

type Header = Record<string, Record<string, string>>;

/** Changes the safetensors header, and updates its length. */
function withHeader(change: (header: Header) => unknown): Change {
  return (bytes) => {
    const start = 8 + Number(new DataView(bytes.buffer).getBigUint64(0, true));
    const header: Header = JSON.parse(new TextDecoder().decode(bytes.subarray(8, start)));
    change(header);
    const text = new TextEncoder().encode(JSON.stringify(header));
    const length = new Uint8Array(8);
    new DataView(length.buffer).setBigUint64(0, BigInt(text.length), true);
    return Uint8Array.from([...length, ...text, ...bytes.subarray(start)]);
  };
}

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

const withMetadata = (name: string, value: unknown) =>
  withHeader((header) => header.__metadata__[name] = JSON.stringify(value));
const withProgress = (change: Record<string, unknown>) =>
  withHeader(({ __metadata__: metadata }) => {
    metadata.progress = JSON.stringify({ ...JSON.parse(metadata.progress), ...change });
  });
const cut: Change = (bytes) => bytes.subarray(0, bytes.length - 4);
const unknownNetwork = withMetadata("config", { type: "UNet_MF", filters: [8, 16], t_emb: 8 });

const resumed = "--resume run --max-steps 3";
const resuming = (change: Change | Record<string, unknown>, says: Says) =>
  command(
    "train:base",
    resumed,
    says,
    typeof change === "object" ? configured(change) : async (place) => {
      await trained(place);
      await rewrite(place, "run/state.safetensors", change);
    },
  );

testRefusals("train --resume refuses a damaged run in one line", {
  "an unknown field of config.json": resuming({ batchSise: 3 }, [
    "ConfigError: Unknown field batchSise in run/config.json (did you mean batchSize?)",
  ]),
  "the state of another network": resuming({ filters: [8, 24] }, ["StateError: ", "run/state.safetensors"]),
  "the state of another optimizer": resuming({ optimizer: "sgd" }, [
    "StateError: ",
    "state.safetensors",
    "sgd",
  ]),
  "a truncated state": resuming(cut, ["SafetensorsError: Cannot read run/state.safetensors: ", "truncated"]),
  "a state without progress": resuming(withHeader((header) => header.__metadata__.progress = "{"), [
    "StateError: Cannot resume run: run/state.safetensors does not hold the progress",
  ]),
  "a number that is not finite": resuming(withWeights(NaN), [
    "StateError: Cannot load run/state.safetensors: ",
    "is NaN at index",
    "from a backup",
  ]),
  "progress of another type": resuming(withProgress({ step: "2" }), [
    'StateError: Cannot resume run: run/state.safetensors does not hold the progress of a run: step is "2"',
  ]),
  "losses of another type": resuming(withProgress({ recentSteps: { losses: 5 } }), [
    "StateError: Cannot resume run: ",
    'recentSteps is {"losses":5} (expected an object with losses',
  ]),
  "a run without a saved state": command(
    "train:base",
    resumed,
    ["RunError: Cannot resume run: cannot read run/state.safetensors", "no checkpoint yet"],
    async (place) => {
      await trained(place);
      await Deno.remove(place.file("run", "state.safetensors"));
    },
  ),
});

const drawn = (change: Change, says: Says) =>
  command("sample", drawing, says, async (place) => {
    await trained(place);
    await rewrite(place, "run/last.safetensors", change);
  });
const reported = (name: string, change: Change, says: Says) =>
  command("report", "run --out page.html", says, async (place) => {
    // A run with autoguidance that has this file and its last weights.
    await configured({ conditional: false, guidance: 2 })(place);
    const last = await place.read("run", "last.safetensors");
    await Deno.remove(place.file("run", "ema.safetensors"));
    await Deno.writeFile(place.file("run", name), change(last));
  });
const unloadable = "StateError: Cannot load run/last.safetensors: ";

testRefusals("sample and report refuse damaged weights in one line", {
  "a header longer than the file": drawn((bytes) => bytes.fill(255, 0, 8), [
    "SafetensorsError: Cannot read run/last.safetensors: ",
    "header length is",
  ]),
  "the weights of another network": drawn(
    withMetadata("config", { type: "UNet_FM", filters: Array(1000).fill(4), t_emb: 8, channels: 1 }),
    [unloadable],
  ),
  "an unknown network": drawn(unknownNetwork, [
    "CheckpointError: Cannot load run/last.safetensors: ",
    "UNet_FM",
  ]),
  "weights that are not finite": drawn(withWeights(-Infinity), [unloadable, "is -Infinity at index"]),
  "finite weights that give no images": drawn(withWeights(1e30, Infinity), [
    "RunError: Cannot draw samples: the network gives ",
    "(expected finite numbers); its weights are damaged",
    "(run/last.safetensors)",
  ]),
  "images of no size": drawn(withMetadata("image_size", [0, 12]), [
    "CheckpointError: Cannot load run/last.safetensors: its image_size is",
  ]),
  "truncated last weights": reported("last.safetensors", cut, [
    "SafetensorsError: Cannot read run/last.safetensors: ",
  ]),
  "averaged weights that are not finite": reported("ema.safetensors", withWeights(NaN), [
    "StateError: Cannot load run/ema.safetensors: ",
  ]),
  "early weights of an unknown network": reported("early.safetensors", unknownNetwork, [
    "CheckpointError: Cannot load run/early.safetensors: ",
  ]),
});
