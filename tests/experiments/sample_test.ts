/** `deno task sample`: which images it draws, the files that it writes, and what it says. */

import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { fileURLToPath } from "node:url";
// @ts-types="npm:@types/pngjs@6.0.5"
import { PNG } from "npm:pngjs@7.0.0";
import { writeSamples } from "../../experiments/draw/sample_files.ts";
import { decodeSafetensors, encodeSafetensors } from "../../models/mod.ts";
import { askPython, pythonWith } from "../python.ts";
import { replacing } from "../replacing.ts";
import { assertSameNumbers } from "../same_numbers.ts";
import { assertClose } from "../testing.ts";
import { oneThread, testTask, type Workplace } from "./cli.ts";
import { imageSize } from "./data/tiny_idx.ts";
import { assertMistakes, testMistakes, trained } from "./refusals.ts";
import { storeNetwork } from "./stored_network.ts";

/** Header and values of an npy file with f32 values. */
function readNpy(bytes: Uint8Array<ArrayBuffer>): { header: string; values: Float32Array } {
  const start = 10 + new DataView(bytes.buffer).getUint16(8, true);
  return {
    header: new TextDecoder().decode(bytes.subarray(10, start)).trimEnd(),
    values: new Float32Array(bytes.buffer.slice(start)),
  };
}

/** Draws images, and returns their values. */
async function draw(place: Workplace, flags: string): Promise<Float32Array> {
  await place.succeed("sample", `${oneThread} --out x.npy ${flags}`);
  return readNpy(await place.read("x.npy")).values;
}

testTask(
  "sample draws a column for each class, with its name above, and a grid without names otherwise",
  async (place) => {
    await storeNetwork(place, "three", [imageSize, imageSize], { classes: 3 });
    const sizeOf = async (flags: string) => {
      await place.succeed(
        "sample",
        `three.safetensors --solver euler:steps=1 ${oneThread} --out x.png ${flags}`,
      );
      const { width, height } = PNG.sync.read(Buffer.from(await place.read("x.png")));
      return [width, height];
    };
    const scale = Math.round(84 / imageSize);
    const [width, height] = await sizeOf("--count 6");
    assert.ok(width >= 3 * scale * imageSize && width < 4 * scale * imageSize, `${width}`);
    assert.ok(height > 2 * scale * imageSize + 20, `${height}: no names`);
    const plain = (n: number) => n * (3 * imageSize + 2) - 2;
    assert.deepEqual(await sizeOf("--count 6 --columns 2"), [plain(2), plain(3)]);
  },
);

testTask("sample says how it drew a nearly square grid, or one with given columns", async (place) => {
  await trained(place);
  const flags = `run/last.safetensors ${oneThread} --count 7`;
  const counted = /evaluations of each batch, steps of a sample: [\d.]+ \(\d+ to \d+\) accepted, [\d.]+ \(/;
  const cases: [flags: string, says: RegExp, columns: number, rows: number][] = [
    [
      "--solver heun:steps=3",
      /^7 samples, heun, 3 steps, 5 evaluations each, in [\d.]+ s on .*: x\.png\n$/,
      3,
      3,
    ],
    ["--solver sde:steps=4 --columns 2", /^7 samples, sde, 4 steps, noise 1, 4 evaluations each, in /, 2, 4],
    [
      "--solver heun:grid=0/0.5/1",
      /^7 samples, heun, 2 steps, times 0\/0.5\/1, 3 evaluations each, in /,
      3,
      3,
    ],
    ["--solver dopri5:rtol=1e-2", RegExp(`, dopri5, rtol 0.01, atol 0.01, \\d+ ${counted.source}`), 3, 3],
  ];
  for (const [how, says, ...grid] of cases) {
    assert.match((await place.succeed("sample", `${flags} ${how} --out x.png`)).stderr, says);
    const { width, height } = PNG.sync.read(Buffer.from(await place.read("x.png")));
    assert.deepEqual([width, height], grid.map((n) => n * (3 * imageSize + 2) - 2));
  }
  const limited = `${flags} --solver dopri5:rtol=1e-6,max-evaluations=7 --out x.png`;
  const says = ["RunError: Cannot solve in 7 evaluations: ", "(--solver; nothing is written)\n"] as const;
  await assertMistakes(place, "sample", { [limited]: says });
});

testTask("sample draws the same sample n for a seed, as pixels or values", async (place) => {
  await trained(place);
  const how = "--solver heun:steps=3 --count";
  const values = await draw(place, `run/last.safetensors ${how} 5`);
  const shape = `5, 1, ${imageSize}, ${imageSize}`;
  const header = `{'descr': '<f4', 'fortran_order': False, 'shape': (${shape}), }`;
  assert.equal(readNpy(await place.read("x.npy")).header, header);
  assertSameNumbers(await draw(place, `run/last.safetensors ${how} 5`), values);
  const two = await draw(place, `run/last.safetensors ${how} 2`);
  assertSameNumbers(two, values.slice(0, 2 * imageSize ** 2));
  const seen = await draw(place, `run/last.safetensors ${how} 5 --values network`);
  assertClose(seen, values.map((pixel) => 2 * pixel - 1), 1e-6);
  for (const other of ["run/last.safetensors --seed 1", "run/ema.safetensors"]) {
    assert.notDeepEqual(await draw(place, `${other} ${how} 5`), values);
  }
  assert.deepEqual(await place.names(), ["data", "run", "x.npy"]);
});

testTask("sample draws from a run's averaged weights, guided away from its early ones", async (place) => {
  await trained(place);
  const step = (flags: string) => draw(place, `--solver euler:steps=1 --count 2 ${flags}`);
  const late = await step("--checkpoint run --guidance 1");
  assertSameNumbers(await step("run --guidance 1"), late); // a word names the run, too
  assertSameNumbers(await step("run/ema.safetensors"), late);
  const early = await step("run --guidance 0");
  assertSameNumbers(await step("run/early.safetensors"), early);
  // A step of Euler is linear in the velocity: guided away from the early one, with scale 2 by default.
  assertClose(await step("run"), late.map((x, i) => early[i] + 2 * (x - early[i])), 1e-5);
  assert.notDeepEqual(late, early);
  const { stderr } = await place.succeed("sample", `--count 1 run --out x.png ${oneThread}`);
  assert.match(stderr, /autoguidance 2, .*of the network and its early weights, in/);
  for (const name of ["ema", "last"]) await Deno.remove(place.file("run", `${name}.safetensors`));
  const says = "RunError: Cannot draw from run: it has no ema.safetensors or last.safetensors\n";
  await assertMistakes(place, "sample", { run: says });
});

testTask("sample draws from a PyTorch state dict that flags describe", async (place) => {
  const network = "--model base --filters 4,8 --t-emb 8 --groups 4 --channels 3 --image-size 4,6";
  const how = "--solver heun:steps=2 --count 2";
  const drawings: [options: Parameters<typeof storeNetwork>[3], flags: string, both?: string][] = [
    [{ classes: 10 }, "--classes 10", "--class 3,1"],
    [{ path: "cosine", prediction: "data" }, "--path cosine --prediction data"],
    [{}, ""],
  ];
  const all = [];
  for (const [options, flags, both = ""] of drawings) {
    const bytes = await storeNetwork(place, "made", [4, 6], { channels: 3, ...options });
    const { tensors } = decodeSafetensors(bytes, "made");
    await Deno.writeFile(place.file(`${all.length}.safetensors`), encodeSafetensors(tensors));
    const expected = await draw(place, `made.safetensors ${how} ${both}`);
    const described = `${all.length}.safetensors ${network} --normalize -1..1 ${flags} ${both}`;
    assertSameNumbers(await draw(place, `${described} ${how}`), expected);
    all.push(expected);
  }
  assert.notDeepEqual(all[1], all[2]);
  await assertMistakes(place, "sample", {
    [`${oneThread} 0.safetensors ${network} --normalize -1..1 --class 3`]: [
      ...["StateError: Cannot load 0.safetensors: ", "label_emb.weight"] as const,
    ],
    [`${oneThread} 2.safetensors --model base`]: [
      ...["ConfigError: Cannot draw from 2.safetensors: ", "(missing --filters, --t-emb)"] as const,
    ],
    [`${oneThread} 2.safetensors ${network}`]: [
      "ConfigError: Cannot draw from 2.safetensors: ",
      "(missing --normalize)",
    ],
    [`${oneThread} 2.safetensors ${network.replace("4,8", "4,12")} --normalize 0..1`]: [
      'StateError: Cannot load 2.safetensors: "downs.1.weight" is f32[8, 4, 3, 3] (expected f32[12, 4, 3, 3])',
      "does it belong to a network with other settings?",
    ],
    [`${oneThread} made.safetensors --t-emb 4`]: [
      ...["ConfigError: Cannot use --t-emb with made.safetensors: ", "(leave it out)"] as const,
    ],
  });
});

const python = await pythonWith(["numpy", "safetensors"]);
const noPython = typeof python === "string" ? undefined : python.reason;

/** The arrays of an .npz file as NumPy sees them. */
const readArrays = `
import json, sys, numpy
arrays = numpy.load(sys.argv[1])
print(json.dumps({k: {"type": str(a.dtype), "shape": a.shape, "values": a.ravel().tolist()} for k, a in arrays.items()}))
`;
type Arrays = Record<string, { type: string; shape: number[]; values: number[] }>;

testTask("sample writes a picture per image in class folders, and arrays that NumPy reads", async (place) => {
  const count = 70; // more than a batch
  const flags = `made.safetensors --solver euler:steps=1 --count ${count} --seed 3`;
  for (const [classes, channels] of [[3, 3], [0, 1]]) {
    await storeNetwork(place, "made", [4, 6], { channels, ...classes > 0 && { classes } });
    const values = await draw(place, flags);
    const size = channels * 24;
    const level = (n: number, c: number, pixel: number) =>
      Math.round(255 * Math.min(1, Math.max(0, values[n * size + c * 24 + pixel])));

    const { stderr } = await place.succeed("sample", `${flags} ${oneThread} --out pictures/`);
    assert.match(stderr, /^70 samp.*: pictures\/\n$/);
    const name = (n: number) => `${`${n}`.padStart(6, "0")}.png`;
    const folderOf = (n: number) => classes > 0 ? [`${n % classes}`] : [];
    for (let label = 0; label < (classes || 1); label++) {
      const names = Array.from({ length: count }, (_, n) => n).filter((n) => n % (classes || 1) === label)
        .map(name);
      assert.deepEqual(await place.names("pictures", ...folderOf(label)), names);
    }
    for (const n of [0, 1, 64, count - 1]) {
      const png = await place.read("pictures", ...folderOf(n), name(n));
      const { width, height, data } = PNG.sync.read(Buffer.from(png));
      assert.deepEqual([width, height], [6, 4]);
      for (const pixel of [0, 7, 23]) {
        for (const c of [0, 1, 2]) assert.equal(data[4 * pixel + c], level(n, c % channels, pixel));
      }
    }
    await Deno.remove(place.file("pictures"), { recursive: true });

    await place.succeed("sample", `${flags} ${oneThread} --out x.npz`);
    const arrays = await askPython(python as string, readArrays, place.file("x.npz")) as Arrays;
    const { arr_0: images, arr_1: labels } = arrays;
    assert.deepEqual([images.type, images.shape], ["uint8", [count, 4, 6, channels]]);
    images.values.forEach((value, i) => {
      assert.equal(value, level(Math.floor(i / size), i % channels, Math.floor(i % size / channels)));
    });
    const expected = Array.from({ length: count }, (_, n) => n % 3);
    assert.deepEqual(
      [labels?.type, labels?.values],
      classes > 0 ? ["int64", expected] : [undefined, undefined],
    );
  }
}, noPython);

testTask("sample stopped by Ctrl-C says what is written, and leaves no part of a file", async (place) => {
  await storeNetwork(place, "made", [4, 6]);
  await Deno.mkdir(place.file("arrays"));
  for (const [folder, out] of [["pictures", "pictures/"], ["arrays", "arrays/x.npz"]]) {
    const namesIn = () => Array.fromAsync(Deno.readDir(place.file(folder)), ({ name }) => name);
    const hasBegun = () =>
      // apart from the check before the work
      namesIn().then((names) => !names.every((name) => /^\.[^.]+\.tmp$/.test(name)), () => false);
    const flags = `made.safetensors ${oneThread} --solver heun:steps=50 --count 200000 --out ${out}`;
    const { code, stderr } = await place.stopWhen(hasBegun, "sample", flags);
    assert.equal(code, 130, stderr);
    const left = await namesIn();
    const says = out === "pictures/"
      ? `Stopped: ${left.length} of 200000 images are in pictures/`
      : "Stopped: nothing was written";
    assert.ok(stderr.includes(says) && (out === "pictures/" || left.length === 0), `${left}: ${stderr}`);
  }
});

const stored = fileURLToPath(new URL("../../checkpoints/mnist_residual.safetensors", import.meta.url));
const cannot = "ConfigError: Cannot";
const noClasses = "plain.safetensors: its network was trained without classes";
const noGuidance = "without guidance (a class, and --guidance other than 1); remove it\n";
const noPicture = "RunError: Cannot draw images of 2 channels as a picture (";

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
  "none --out data/": "RunError: Cannot use data/: it holds ",
  "none --out data/t10k-labels-idx1-ubyte/": "RunError: Cannot use data/t10k-labels-idx1-ubyte/: not a dir",
  [`plain.safetensors ${oneThread} --count 1000000 --out x.npz`]:
    `${cannot} use --out x.npz: 1000000 images take 4.3 GiB (expected less than 4 GiB, or a folder`,
  [`two.safetensors ${oneThread} --out y.png`]: noPicture,
  [`two.safetensors ${oneThread} --out y/`]: noPicture,
}, async (place) => {
  await storeNetwork(place, "labelled", [12, 12], { classes: 10 });
  await storeNetwork(place, "plain", [48, 96]);
  await storeNetwork(place, "two", [4, 6], { channels: 2 });
});

/** Images of 4 x 6 pixels to write, with something done before the second batch. */
const written = (count: number, labels?: number[], between = () => Promise.resolve()) => ({
  ...{ count, shape: [1, 4, 6] as const, labels: labels && Uint32Array.from(labels), columns: 0 },
  classes: { count: labels?.length ?? 0, names: ["../x", ".hidden", "an owl"] },
  batches: (async function* () {
    yield new Float32Array(24);
    await between();
    for (let n = 1; n < count; n++) yield new Float32Array(24);
  })(),
});

testTask("writeSamples() numbers folders if names are unfit, and replaces no image", async (place) => {
  await writeSamples(place.file("named/"), written(3, [0, 1, 2]), () => {});
  assert.deepEqual(await place.names("named"), ["0", "1", "an owl"]);
  const theirs = () => place.write("made/000001.png", "theirs");
  const message = /^Cannot write .*000001.png: .*; 1 images are complete$/;
  const writing = writeSamples(place.file("made/"), written(2, undefined, theirs), () => {});
  await assert.rejects(writing, { name: "RunError", message });
  assert.equal(await place.text("made/000001.png"), "theirs");
});

testTask("writeSamples() gives equal bytes for equal images at another time", async (place) => {
  const write = async (name: string) => {
    await writeSamples(place.file(name), written(1, [0]), () => {});
    return await place.read(name);
  };
  const before = await write("a.npz");
  assert.deepEqual([...before.subarray(10, 14)], [0, 0, 0x21, 0], "1 January 1980, the earliest time of ZIP");
  const { now } = Date;
  using _ = replacing([Date, { now: () => now() + 86_400_000 }]);
  assert.deepEqual(await write("b.npz"), before);
});
