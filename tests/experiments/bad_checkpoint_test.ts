/** Runs and checkpoints that are spoiled: each is refused in one line that says why, and no file is changed. */

import type { Workplace } from "./cli.ts";
import { type BadCommand, drawing, testRefusals, trained } from "./refusals.ts";

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

/** Sets the last weight of a file. */
function withLast(value: number) {
  return (bytes: Uint8Array<ArrayBuffer>): Uint8Array => {
    new DataView(bytes.buffer).setFloat32(bytes.length - 4, value, true);
    return bytes;
  };
}

/** Sets all weights of a file. */
function withAll(value: number) {
  return (bytes: Uint8Array<ArrayBuffer>): Uint8Array => {
    const view = new DataView(bytes.buffer);
    for (let at = 8 + Number(view.getBigUint64(0, true)); at < bytes.length; at += 4) {
      view.setFloat32(at, value, true);
    }
    return bytes;
  };
}

/** Changes the progress in a state's metadata. */
function withProgress(change: Record<string, unknown>) {
  return withHeader((header) => {
    const progress = JSON.parse(header.__metadata__.progress);
    header.__metadata__.progress = JSON.stringify({ ...progress, ...change });
  });
}

/** Writes a value for a name of the header's metadata. */
function withMetadata(name: string, value: unknown) {
  return withHeader((header) => header.__metadata__[name] = JSON.stringify(value));
}

/** Writes the settings of a base network with these channels into the header. */
function withFilters(filters: readonly number[]) {
  return withMetadata("config", { type: "UNet_FM", filters, t_emb: 8, channels: 1, attn: false, groups: 4 });
}

testRefusals("train --resume refuses what cannot work, in one line", {
  "an unknown field of config.json": {
    flags: "--resume run --epochs 3",
    prepare: reconfigured({ batchSise: 3 }),
    says: ["ConfigError: Unknown field batchSise in run/config.json (did you mean batchSize?)"],
  },
  "the checkpoint of another network": {
    flags: "--resume run --max-steps 3",
    prepare: reconfigured({ filters: [8, 24] }),
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
  "a checkpoint with a number that is not finite": {
    flags: "--resume run --max-steps 3",
    prepare: spoiled("state.safetensors", withLast(NaN)),
    says: ["StateError: Cannot load run/state.safetensors: ", "is NaN at index", "from a backup"],
  },
  "a checkpoint whose progress is of other types": {
    flags: "--resume run --max-steps 3",
    prepare: spoiled("state.safetensors", withProgress({ step: "2" })),
    says: ["StateError: Cannot resume run: ", 'run/state.safetensors has no progress of a run: step is "2"'],
  },
  "a checkpoint whose losses are of other types": {
    flags: "--resume run --max-steps 3",
    prepare: spoiled("state.safetensors", withProgress({ recentSteps: { losses: 5 } })),
    says: ["StateError: Cannot resume run: ", 'recentSteps is {"losses":5} (expected an object with losses'],
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

testRefusals("sample refuses what cannot work, in one line", {
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
    withFilters([4, 12]),
    "StateError: Cannot load run/last.safetensors: ",
  ),
  "a network of more levels than its file has": drawn(
    withFilters(Array(1000).fill(4)),
    "StateError: Cannot load run/last.safetensors: ",
  ),
  "an unknown network": drawn(
    withMetadata("config", { type: "UNet_MF", filters: [8, 16], t_emb: 8 }),
    "CheckpointError: Cannot load run/last.safetensors: ",
    "UNet_FM",
  ),
  "weights that are not finite": drawn(
    withLast(-Infinity),
    "StateError: Cannot load run/last.safetensors: ",
    "is -Infinity at index",
  ),
  "finite weights that give no images": drawn(
    withAll(1e30),
    "RunError: Cannot draw samples: the network gives ",
    "(expected finite numbers); its weights are damaged",
    "(run/last.safetensors)",
  ),
  "images of no size": drawn(
    withMetadata("image_size", [0, 12]),
    "CheckpointError: Cannot load run/last.safetensors: its image_size is",
  ),
});

const reported = (
  name: string,
  change: (bytes: Uint8Array<ArrayBuffer>) => Uint8Array,
  says: string,
): BadCommand => ({
  task: "report",
  flags: "run --out page.html",
  prepare: async (place) => {
    // A run that is guided away from what it was, and keeps only this file besides its last weights.
    await reconfigured({ conditional: false, guidance: 2 })(place);
    const last = await place.read("run", "last.safetensors");
    await Deno.remove(place.file("run", "ema.safetensors"));
    await Deno.writeFile(place.file("run", name), change(last));
  },
  says: [says],
});

testRefusals("report refuses what cannot work, in one line", {
  "last weights that are cut short": reported(
    "last.safetensors",
    (bytes) => bytes.subarray(0, bytes.length - 4),
    "SafetensorsError: Cannot read run/last.safetensors: ",
  ),
  "averaged weights that are not finite": reported(
    "ema.safetensors",
    withLast(NaN),
    "StateError: Cannot load run/ema.safetensors: ",
  ),
  "early weights of an unknown network": reported(
    "early.safetensors",
    withMetadata("config", { type: "UNet_MF", filters: [8, 16], t_emb: 8 }),
    "CheckpointError: Cannot load run/early.safetensors: ",
  ),
});
