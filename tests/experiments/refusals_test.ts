/** User errors and damaged files: each ends with one line that says why, and changes no file. */

import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { IDX_NAMES } from "../../experiments/data/idx.ts";
import { oneThread, type TaskName, testTask, tinyNetwork, tinyRun, type Workplace } from "./cli.ts";
import { replacing } from "../replacing.ts";
import { writeTinyIdx } from "./data/tiny_idx.ts";
import { storeNetwork } from "./stored_network.ts";
import { assertRefused, type BadCommand, drawing, testMistakes, testRefusals, trained } from "./refusals.ts";

type Change = (bytes: Uint8Array<ArrayBuffer>) => Uint8Array;
type Says = readonly [string, ...string[]];

async function rewrite(place: Workplace, path: string, change: Change): Promise<void> {
  await Deno.writeFile(place.file(path), change(await place.read(path)));
}

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
  await Deno.mkdir(place.file("run"));
  for (const path of ["run/notes.txt", "file"]) await Deno.writeTextFile(place.file(path), "mine");
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
const noClasses = "plain.safetensors: its network was trained without classes";
const noGuidance = "without guidance (a class, and --guidance other than 1); remove it\n";

testMistakes("sample", {
  [`${stored} --count 1000000 --device cpu`]:
    "RunError: Cannot draw 1000000 images of 28 x 28 in one grid (expected at most 9073, or a file",
  "nowhere.safetensors --device cpu": "RunError: Cannot read the checkpoint nowhere.safetensors: ",
  "none --count 5000000000": `${cannot} use --count "5000000000": expected `,
  "labelled.safetensors --class 3,10":
    `${cannot} draw class 10 from labelled.safetensors: it has the classes 0 to 9\n`,
  "labelled.safetensors --class owl":
    `${cannot} draw class owl from labelled.safetensors: it has the classes 0 to 9\n`,
  "labelled.safetensors --class none --guidance 2":
    "ConfigError: --guidance has no effect without a class; remove it\n",
  "labelled.safetensors --class none --cfg-zero": `ConfigError: --cfg-zero has no effect ${noGuidance}`,
  "labelled.safetensors --guidance 1 --guidance-interval 0.1,1":
    `ConfigError: --guidance-interval has no effect ${noGuidance}`,
  "plain.safetensors --guidance 2":
    `${cannot} use --guidance with ${noClasses}, and there is no early.safetensors to guide it away from `,
  "plain.safetensors --class 3": `${cannot} use --class with ${noClasses}`,
  "plain.safetensors --cfg-zero": `${cannot} use --cfg-zero with ${noClasses}`,
}, async (place) => {
  await storeNetwork(place, "labelled", [12, 12], { classes: 10 });
  await storeNetwork(place, "plain", [12, 12]);
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

type Row = readonly [change: Change, ...says: Says];
const rows = (table: Readonly<Record<string, Row>>, task: TaskName, flags: string, path: string) =>
  Object.fromEntries(
    Object.entries(table).map(([what, [change, ...says]]): [string, BadCommand] => [what, {
      ...{ task, flags, says },
      async prepare(place) {
        await trained(place);
        await rewrite(place, path, change);
      },
    }]),
  );
const resumed = "--resume run --max-steps 3";
const configured = (change: Record<string, unknown>): Change => (bytes) =>
  new TextEncoder().encode(JSON.stringify({ ...JSON.parse(new TextDecoder().decode(bytes)), ...change }));
const noProgress =
  "StateError: Cannot resume run: run/state.safetensors does not hold the progress of a run: ";

testRefusals("train --resume refuses a damaged run in one line", {
  ...rows(
    {
      "an unknown field": [
        configured({ batchSise: 3 }),
        "ConfigError: Unknown field batchSise in run/config.json (did you mean batchSize?)",
      ],
      "the state of another network": [
        configured({ filters: [8, 24] }),
        "StateError: ",
        "run/state.safetensors",
      ],
      "the state of another optimizer": [
        configured({ optimizer: "sgd" }),
        "StateError: ",
        "state.safetensors",
        "sgd",
      ],
    },
    "train:base",
    resumed,
    "run/config.json",
  ),
  ...rows(
    {
      "a truncated state": [cut, "SafetensorsError: Cannot read run/state.safetensors: ", "truncated"],
      "no progress": [withHeader((header) => header.__metadata__.progress = "{"), noProgress],
      "a number that is not finite": [
        withWeights(NaN),
        "StateError: Cannot load run/state.safetensors: ",
        "is NaN at index",
      ],
      "progress of another type": [withProgress({ step: "2" }), `${noProgress}step is "2"`],
      "losses of another type": [
        withProgress({ recentSteps: { losses: 5 } }),
        `${noProgress}recentSteps is {"losses":5} (expected an object with losses`,
      ],
    },
    "train:base",
    resumed,
    "run/state.safetensors",
  ),
  "a run without a saved state": {
    flags: resumed,
    says: ["RunError: Cannot resume run: cannot read run/state.safetensors", "no checkpoint yet"],
    async prepare(place) {
      await trained(place);
      await Deno.remove(place.file("run", "state.safetensors"));
    },
  },
});

const unloadable = "StateError: Cannot load run/last.safetensors: ";
const invalid = "CheckpointError: Cannot load run/last.safetensors: ";
const weights: Readonly<Record<string, Row>> = {
  "a header longer than the file": [
    (bytes) => bytes.fill(255, 0, 8),
    "SafetensorsError: Cannot read run/last.safetensors: ",
  ],
  "the weights of another network": [
    withMetadata("config", { type: "UNet_FM", filters: Array(1000).fill(4), t_emb: 8, channels: 1 }),
    unloadable,
  ],
  "an unknown network": [unknownNetwork, invalid, "UNet_FM"],
  "weights that are not finite": [withWeights(-Infinity), unloadable, "is -Infinity at index"],
  "finite weights that give no images": [
    withWeights(1e30, Infinity),
    "RunError: Cannot draw samples: the network gives ",
    "its weights are damaged",
    "(run/last.safetensors)",
  ],
  "images of no size": [withMetadata("image_size", [0, 12]), `${invalid}its image_size is`],
};

testRefusals(
  "sample refuses damaged weights in one line",
  rows(weights, "sample", drawing, "run/last.safetensors"),
);

testTask("report refuses damaged weights of its samples in one line", async (place) => {
  await trained(place);
  await rewrite(place, "run/config.json", configured({ conditional: false, guidance: 2 })); // with autoguidance
  const last = await place.read("run", "last.safetensors");
  const cases: readonly (readonly [name: string, change: Change, begin: string])[] = [
    ["last", cut, "SafetensorsError: Cannot read run/last.safetensors: "],
    ["ema", withWeights(NaN), "StateError: Cannot load run/ema.safetensors: "],
    ["early", unknownNetwork, "CheckpointError: Cannot load run/early.safetensors: "],
  ];
  for (const [name, change, begin] of cases) {
    for (const file of ["last", "ema"]) {
      await Deno.remove(place.file("run", `${file}.safetensors`)).catch(() => {});
    }
    await Deno.writeFile(place.file("run", "last.safetensors"), last);
    await Deno.writeFile(place.file("run", `${name}.safetensors`), change(last.slice()));
    await assertRefused(place, { task: "report", flags: "run --out page.html", says: [begin] });
  }
});
