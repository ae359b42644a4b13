/** What a user can get wrong: each ends in one line that says so, and changes no file. */

import assert from "node:assert/strict";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { IDX_NAMES } from "../../experiments/data/idx_folder.ts";
import { granted } from "../permissions.ts";
import { type Task, testTask, tinyNetwork, tinyRun, type Workplace } from "./cli.ts";

/** A command that cannot work. */
interface BadCommand {
  readonly task?: Task;
  readonly flags: string;
  /** What the line on the error stream begins with, and says among other things. */
  readonly says: readonly [string, ...string[]];
  /** Prepares the folder. */
  readonly prepare?: (place: Workplace) => Promise<unknown>;
  readonly env?: Record<string, string>;
}

/** Asserts that a command ends in one line that says all it should, with exit code 1 and no file touched. */
async function assertRefused(
  place: Workplace,
  { task = "train:base", flags, says, prepare, env }: BadCommand,
) {
  await prepare?.(place);
  const before = await place.listing();
  const { code, stdout, stderr } = await place.run(task, flags, env);
  assert.deepEqual({ code, stdout }, { code: 1, stdout: "" }, stderr);
  assert.match(stderr, /^[^\n]+\n$/, `not one line: ${stderr}`);
  const [begin, ...pieces] = says;
  assert.ok(stderr.startsWith(begin), stderr);
  for (const piece of pieces) assert.ok(stderr.includes(piece), `no "${piece}" in: ${stderr}`);
  assert.deepEqual(await place.listing(), before);
}

function testRefusals(what: string, commands: Readonly<Record<string, BadCommand>>): void {
  for (const [name, command] of Object.entries(commands)) {
    testTask(`${what} ${name}`, (place) => assertRefused(place, command));
  }
}

/** Rewrites a file of the data set. */
function changed(name: string, change: (bytes: Uint8Array) => Uint8Array) {
  return async (place: Workplace) => {
    const path = join("data", name);
    await Deno.writeFile(place.file(path), change(await place.read(path)));
  };
}

const newRun = `${tinyRun} --out run`;
const { trainImages, testLabels } = IDX_NAMES;

testRefusals("train refuses", {
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
    says: ["ConfigError: Cannot use --solver", "euler, midpoint, heun or rk4", "did you mean euler?"],
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
    flags: newRun.replace("--device cpu", "--device webgpu"),
    env: { DENO_WEBGPU_BACKEND: Deno.build.os === "windows" ? "metal" : "dx12" }, // what this system lacks
    says: ["DeviceError: No WebGPU adapter: ", "--device cpu"],
  },
  "to resume a folder that is no run": {
    flags: "--resume data",
    says: ["ConfigError: Cannot read data/config.json: there is no such file"],
  },
});

testRefusals("sample refuses", {
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
});

testRefusals("overfit refuses", {
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

const smallRun = `${tinyNetwork} --max-minutes 0 --max-steps 2 --samples 0 --flow-samples 0 --path-samples 0`;

/** Makes a run to spoil. */
const trained = (place: Workplace) => place.succeed("train:base", `${smallRun} --out run`);

/** Changes a field of a run's `config.json`. */
function reconfigured(change: Record<string, unknown>) {
  return async (place: Workplace) => {
    await trained(place);
    const path = place.file("run", "config.json");
    const config = JSON.parse(await Deno.readTextFile(path));
    await Deno.writeTextFile(path, JSON.stringify({ ...config, ...change }));
  };
}

/** Rewrites a checkpoint of a run. */
function spoiled(name: string, change: (bytes: Uint8Array<ArrayBuffer>) => Uint8Array) {
  return async (place: Workplace) => {
    await trained(place);
    await Deno.writeFile(place.file("run", name), change(await place.read("run", name)));
  };
}

type Header = Record<string, { shape: number[]; data_offsets: number[] } & Record<string, string>>;

/** Changes the header of safetensors, with its length. */
function withHeader(change: (header: Header) => unknown) {
  return (bytes: Uint8Array<ArrayBuffer>): Uint8Array => {
    const start = 8 + Number(new DataView(bytes.buffer).getBigUint64(0, true));
    const header: Header = JSON.parse(new TextDecoder().decode(bytes.subarray(8, start)));
    change(header);
    const text = new TextEncoder().encode(JSON.stringify(header));
    const length = new Uint8Array(8);
    new DataView(length.buffer).setBigUint64(0, BigInt(text.length), true);
    return Uint8Array.from([...length, ...text, ...bytes.subarray(start)]);
  };
}

/** Writes a value for a name of the header's metadata. */
function withMetadata(name: string, value: unknown) {
  return withHeader((header) => header.__metadata__[name] = JSON.stringify(value));
}

testRefusals("train --resume refuses", {
  "an unknown field of config.json": {
    flags: "--resume run --epochs 3",
    prepare: reconfigured({ batchSise: 3 }),
    says: ["ConfigError: Unknown field batchSise in run/config.json (did you mean batchSize?)"],
  },
  "the checkpoint of another network": {
    flags: "--resume run --max-steps 3",
    prepare: reconfigured({ filters: [4, 12] }),
    says: ["StateError: ", "run/state.safetensors"],
  },
  "the checkpoint of another optimizer": {
    flags: "--resume run --max-steps 3",
    prepare: reconfigured({ optimizer: "sgd" }),
    says: ["StateError: ", "run/state.safetensors", "sgd"],
  },
  "a checkpoint that is cut short": {
    flags: "--resume run --max-steps 3",
    prepare: spoiled("state.safetensors", (bytes) => bytes.subarray(0, bytes.length - 4)),
    says: ["SafetensorsError: Cannot read run/state.safetensors: ", "truncated"],
  },
  "a checkpoint without progress": {
    flags: "--resume run --max-steps 3",
    prepare: spoiled("state.safetensors", withHeader((header) => header.__metadata__.progress = "{")),
    says: ["StateError: Cannot resume run: run/state.safetensors has no progress"],
  },
  "a run that saved no checkpoint": {
    flags: "--resume run --max-steps 3",
    prepare: async (place) => {
      await trained(place);
      await Deno.remove(place.file("run", "state.safetensors"));
    },
    says: ["RunError: Cannot resume run: cannot read run/state.safetensors", "no checkpoint yet"],
  },
});

const drawing = "--checkpoint run/last.safetensors --device cpu --count 1 --steps 1";
const drawn = (
  change: (bytes: Uint8Array<ArrayBuffer>) => Uint8Array,
  ...says: [string, ...string[]]
): BadCommand => ({
  task: "sample",
  flags: drawing,
  prepare: spoiled("last.safetensors", change),
  says,
});
const unreadable = "SafetensorsError: Cannot read run/last.safetensors: ";
const someTensor = (header: Header) => header[Object.keys(header).find((name) => name !== "__metadata__")!];

testRefusals("sample refuses", {
  "a checkpoint that does not exist": {
    task: "sample",
    flags: "--checkpoint nowhere.safetensors --device cpu",
    says: ["RunError: Cannot read the checkpoint nowhere.safetensors: "],
  },
  "an unknown solver": {
    task: "sample",
    flags: `${drawing} --solver hein`,
    says: ["ConfigError: Cannot use --solver", "did you mean heun?"],
  },
  "an output of another kind": {
    task: "sample",
    flags: `${drawing} --out grid.jpg`,
    says: ['ConfigError: Cannot use --out "grid.jpg": expected a path that ends with .png or .npy'],
  },
  "an output in a folder that does not exist": {
    task: "sample",
    flags: `${drawing} --out nowhere/grid.png`,
    prepare: trained,
    says: ["RunError: Cannot write nowhere/grid.png: "],
  },
  "a header longer than the file": drawn(
    (bytes) => bytes.with(2, 1), // 65536 more
    unreadable,
    "header length is",
    "truncated",
  ),
  "a header of more bytes than there is memory": drawn(
    (bytes) => bytes.fill(255, 0, 8),
    unreadable,
    "header length is",
  ),
  "a checkpoint that is cut short": drawn(
    (bytes) => bytes.subarray(0, bytes.length - 1),
    unreadable,
    "truncated",
  ),
  "a checkpoint of five bytes": drawn((bytes) => bytes.subarray(0, 5), unreadable, "5 bytes"),
  "a checkpoint of other bytes": drawn((bytes) => bytes.map((_, i) => i < 8 ? 0 : i), unreadable),
  "tensors that overlap": drawn(
    withHeader((header) => {
      const tensor = Object.entries(header).filter(([name]) => name !== "__metadata__").at(-1)![1];
      tensor.data_offsets = tensor.data_offsets.map((offset) => offset - 4);
    }),
    unreadable,
    "overlaps",
  ),
  "a shape that does not fit its bytes": drawn(
    withHeader((header) => someTensor(header).shape = [1, 2, 3]),
    unreadable,
    "data_offsets span",
  ),
  "the weights of another network": drawn(
    withMetadata("config", {
      type: "UNet_FM",
      filters: [4, 12],
      t_emb: 8,
      channels: 1,
      attn: false,
      groups: 4,
    }),
    "StateError: Cannot load run/last.safetensors: ",
  ),
  "a network of more levels than its file has": drawn(
    withMetadata("config", {
      type: "UNet_FM",
      filters: Array(1000).fill(4),
      t_emb: 8,
      channels: 1,
      attn: false,
      groups: 4,
    }),
    "StateError: Cannot load run/last.safetensors: ",
  ),
  "an unknown network": drawn(
    withMetadata("config", { type: "UNet_MF", filters: [8, 16], t_emb: 8 }),
    "CheckpointError: Cannot load run/last.safetensors: ",
    "UNet_FM",
  ),
  "images of no size": drawn(
    withMetadata("image_size", [0, 12]),
    "CheckpointError: Cannot load run/last.safetensors: its image_size is",
  ),
});

/** Makes a small disk in memory; its removal is the result. */
async function mountDisk(path: string): Promise<() => Promise<unknown>> {
  await Deno.mkdir(path, { recursive: true });
  const command = (name: string, ...args: string[]) =>
    new Deno.Command(name, { args, stderr: "piped" }).output();
  const { success, stderr } = await command("mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", path);
  if (!success) throw new Error(new TextDecoder().decode(stderr).trim().split("\n")[0]);
  return () => command("umount", path);
}

/** Why no full disk can be tried here; undefined too where the permissions to find out are missing. */
async function whyNoDisk(): Promise<string | undefined> {
  if (!granted("run") || !granted("write")) return undefined;
  const path = await Deno.makeTempDir({ prefix: "flow-" });
  try {
    const unmount = await mountDisk(path);
    await unmount();
  } catch (error) {
    return `no disk can be mounted: ${(error as Error).message}`;
  } finally {
    await Deno.remove(path);
  }
}

testTask("train --resume and sample leave all files whole where the disk is full", async (place) => {
  const unmount = await mountDisk(place.file("disk"));
  try {
    await place.succeed("train:base", `${smallRun} --out disk/run`);
    await Deno.writeTextFile(place.file("disk", "grid.png"), "old");
    await Deno.writeFile(place.file("disk", "ballast"), new Uint8Array(2 ** 22)).catch(() => {}); // as much as fits
    await assertRefused(place, {
      flags: "--resume disk/run --max-steps 3",
      says: [
        "RunError: Cannot write disk/run/",
        "no space is left on the disk",
        "the file is unchanged",
      ],
    });
    await assertRefused(place, {
      task: "sample",
      flags: "--checkpoint disk/run/last.safetensors --device cpu --steps 1 --out disk/grid.png",
      says: ["RunError: Cannot write disk/grid.png: no space is left on the disk"],
    });
  } finally {
    await unmount();
  }
}, await whyNoDisk());
