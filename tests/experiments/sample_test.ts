import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
// @ts-types="npm:@types/pngjs@6.0.5"
import { PNG } from "npm:pngjs@7.0.0";
import { writeSamples } from "../../experiments/draw/sample_files.ts";
import { decodeSafetensors, encodeSafetensors } from "../../models/mod.ts";
import { assertSameNumbers } from "../same_numbers.ts";
import { assertClose } from "../testing.ts";
import { askPython, pythonWith } from "../python.ts";
import { ended, madeOnce, oneThread, testTask, tinyNetwork, type Workplace } from "./cli.ts";
import { imageSize } from "./data/tiny_idx.ts";
import { replacing } from "../replacing.ts";
import { assertRefused } from "./refusals.ts";
import { storeNetwork } from "./stored_network.ts";

const checkpoint = `--checkpoint run/last.safetensors ${oneThread}`;

/** A run of a few steps without classes, for all tests. */
const trained = (place: Workplace) =>
  madeOnce(place, "run to sample", (place) => {
    const none = "--samples 0 --flow-samples 0 --path-samples 0 --no-conditional";
    return place.succeed("train:residual", `${tinyNetwork} --max-minutes 0 --max-steps 3 ${none} --out run`);
  });

/** Header and values of an npy file with f32 values. */
function readNpy(bytes: Uint8Array<ArrayBuffer>): { header: string; values: Float32Array } {
  const start = 10 + new DataView(bytes.buffer).getUint16(8, true);
  return {
    header: new TextDecoder().decode(bytes.subarray(10, start)).trimEnd(),
    values: new Float32Array(bytes.buffer.slice(start)),
  };
}

testTask("sample draws a nearly square grid, or one with given columns", async (place) => {
  await trained(place);
  const { stderr } = await place.succeed("sample", `${checkpoint} --solver heun:steps=3 --count 7`);
  assert.match(stderr, /^7 samples, heun, 3 steps, 6 evaluations each, in [\d.]+ s on .*: grid.png\n$/);
  await place.succeed("sample", `${checkpoint} --solver heun:steps=3 --count 7 --columns 2 --out two.png`);
  const cell = 3 * imageSize + 2;
  const size = async (name: string) => {
    const { width, height } = PNG.sync.read(Buffer.from(await place.read(name)));
    return [width, height];
  };
  assert.deepEqual(await size("grid.png"), [3 * cell - 2, 3 * cell - 2]);
  assert.deepEqual(await size("two.png"), [2 * cell - 2, 4 * cell - 2]);
});

testTask("sample gives the same bytes for a seed, and the same sample n for any count", async (place) => {
  await trained(place);
  const draw = async (flags: string) => {
    await place.succeed("sample", `${checkpoint} ${flags} --out x.npy`);
    return readNpy(await place.read("x.npy"));
  };
  const usual = "--solver heun:steps=3 --count 5";
  const { header, values } = await draw(usual);
  const size = `5, 1, ${imageSize}, ${imageSize}`;
  assert.equal(header, `{'descr': '<f4', 'fortran_order': False, 'shape': (${size}), }`);
  assert.ok(values.every(Number.isFinite));
  assertSameNumbers((await draw(usual)).values, values);
  assert.notDeepEqual((await draw(`${usual} --seed 1`)).values, values);
  assert.notDeepEqual((await draw("--solver euler:steps=3 --count 5")).values, values);
  const { values: few } = await draw("--solver heun:steps=3 --count 2");
  assertSameNumbers(few, values.slice(0, 2 * imageSize ** 2));
});

testTask("sample prints the cost of its solver, and writes nothing if it reaches a limit", async (place) => {
  await trained(place);
  const flags = `${checkpoint} --count 5`;
  const counted = /evaluations of each batch, steps of a sample: [\d.]+ \(\d+ to \d+\) accepted, [\d.]+ \(/;
  const costs: [solver: string, says: RegExp][] = [
    ["dopri5:rtol=1e-3", RegExp(`^5 samples, dopri5, rtol 0.001, atol 0.001, \\d+ ${counted.source}`)],
    ["sde:steps=4", /^5 samples, sde, 4 steps, noise 1, 4 evaluations each, in /],
    ["heun:grid=0/0.5/1", /^5 samples, heun, 2 steps, times 0\/0.5\/1, 4 evaluations each, in /],
  ];
  for (const [solver, says] of costs) {
    assert.match((await place.succeed("sample", `${flags} --solver ${solver}`)).stderr, says);
  }
  const before = await place.read("grid.png");
  const limited = `${flags} --solver dopri5:rtol=1e-6,max-evaluations=7 --seed 1`;
  const { code, stderr } = await place.run("sample", limited);
  assert.equal(code, 1);
  assert.match(stderr, /^RunError: Cannot solve in 7 evaluations: .* \(--solver; nothing is written\)\n$/);
  assert.deepEqual(await place.read("grid.png"), before);
});

testTask("sample uses a run's averaged weights, and writes pixels or network values", async (place) => {
  await trained(place);
  await Deno.writeTextFile(place.file("x.npy"), "old");
  const draw = async (flags: string) => {
    await place.succeed("sample", `--device cpu --solver heun:steps=2 --count 2 --out x.npy ${flags}`);
    return readNpy(await place.read("x.npy")).values;
  };
  const pixels = await draw("--checkpoint run --guidance 1");
  assert.deepEqual(await draw("run --guidance 1"), pixels, "a word names the run, too");
  assertSameNumbers(await draw("run/ema.safetensors"), pixels);
  assertSameNumbers(await draw("--checkpoint run/ema.safetensors"), pixels);
  assert.notDeepEqual(await draw("--checkpoint run/last.safetensors"), pixels);
  const seen = await draw("--checkpoint run --guidance 1 --values network");
  assertClose(seen, pixels.map((pixel) => 2 * pixel - 1), 1e-6);
  assert.deepEqual(await place.names(), ["data", "run", "x.npy"]);

  for (const name of ["ema", "last"]) await Deno.remove(place.file("run", `${name}.safetensors`));
  const { code, stderr } = await place.run("sample", "--checkpoint run --device cpu");
  assert.equal(code, 1);
  assert.equal(stderr, "RunError: Cannot draw from run: it has no ema.safetensors or last.safetensors\n");
});

testTask("sample guides a run without classes away from its early weights", async (place) => {
  await trained(place);
  const draw = async (checkpoint: string) => {
    const flags = "--device cpu --solver euler:steps=1 --count 2 --out x.npy";
    await place.succeed("sample", `${flags} --checkpoint ${checkpoint}`);
    return readNpy(await place.read("x.npy")).values;
  };
  const late = await draw("run --guidance 1");
  const early = await draw("run --guidance 0");
  assertSameNumbers(early, await draw("run/early.safetensors"));
  assertSameNumbers(late, await draw("run/ema.safetensors"));
  // A step of Euler is linear in the velocity: guided away from the early one, with scale 2 by default.
  const away = late.map((x, i) => early[i] + 2 * (x - early[i]));
  assertClose(await draw("run"), away, 1e-5);
  assert.notDeepEqual(late, early);
  const { stderr } = await place.run("sample", "--device cpu --count 1 --checkpoint run --out x.png");
  assert.match(stderr, /autoguidance 2, .*of the network and its early weights, in/);
});

testTask("sample draws from a PyTorch state dict that flags describe", async (place) => {
  const flags = "--device cpu --solver heun:steps=2 --count 2 --out x.npy";
  const bytes = await storeNetwork(place, "made", [4, 6], { channels: 3 });
  await place.succeed("sample", `${flags} --checkpoint made.safetensors`);
  const expected = await place.read("x.npy");
  const { tensors } = decodeSafetensors(bytes, "made");
  await Deno.writeFile(place.file("torch.safetensors"), encodeSafetensors(tensors));
  const network = "--model base --filters 4,8 --t-emb 8 --groups 4 --channels 3 --image-size 4,6";
  const ofTorch = `${flags} --checkpoint torch.safetensors`;
  await place.succeed("sample", `${ofTorch} ${network} --normalize -1..1`);
  assert.deepEqual(await place.read("x.npy"), expected);

  await storeNetwork(place, "made", [4, 6], { channels: 3, path: "cosine", prediction: "data" });
  await place.succeed("sample", `${flags} --checkpoint made.safetensors`);
  const other = await place.read("x.npy");
  await place.succeed("sample", `${ofTorch} ${network} --normalize -1..1 --path cosine --prediction data`);
  assert.deepEqual(await place.read("x.npy"), other);
  assert.notDeepEqual(other, expected);

  const labelled = await storeNetwork(place, "made", [4, 6], { channels: 3, classes: 10 });
  await place.succeed("sample", `${flags} --checkpoint made.safetensors --class 3,1`);
  await Deno.writeFile(
    place.file("classes.safetensors"),
    encodeSafetensors(decodeSafetensors(labelled, "made").tensors),
  );
  const ofClasses = `${flags} --checkpoint classes.safetensors ${network} --normalize -1..1 --class 3,1`;
  const drawn = await place.read("x.npy");
  await place.succeed("sample", `${ofClasses} --classes 10`);
  assert.deepEqual(await place.read("x.npy"), drawn);
  const refused: [flags: string, says: string, more: string][] = [
    [ofClasses, "StateError: Cannot load classes.safetensors: ", "label_emb.weight"],
    [
      `${ofTorch} --model base`,
      "ConfigError: Cannot draw from torch.safetensors: ",
      "(missing --filters, --t-emb)",
    ],
    [`${ofTorch} ${network}`, "ConfigError: Cannot draw from torch.safetensors: ", "(missing --normalize)"],
    [
      `${ofTorch} ${network.replace("4,8", "4,12")} --normalize 0..1`,
      'StateError: Cannot load torch.safetensors: "downs.1.weight" is f32[8, 4, 3, 3] (expected f32[12, 4, 3, 3])',
      "does it belong to a network with other settings?",
    ],
    [
      `${flags} --checkpoint made.safetensors --t-emb 4`,
      "ConfigError: Cannot use --t-emb with made.safetensors: ",
      "(leave it out)",
    ],
  ];
  for (const [flags, ...says] of refused) await assertRefused(place, { task: "sample", flags, says });
});

const python = await pythonWith(["numpy", "safetensors"]);
const noPython = typeof python === "string" ? undefined : python.reason;

/** The arrays of an .npz file as NumPy sees them. */
const readArrays = `
import json, sys, numpy
arrays = numpy.load(sys.argv[1])
print(json.dumps({k: {"type": str(a.dtype), "shape": a.shape, "values": a.ravel().tolist()} for k, a in arrays.items()}))
`;

testTask(
  "sample writes one picture per image in class folders, and arrays that NumPy reads",
  async (place) => {
    const flags = `made.safetensors ${oneThread} --solver euler:steps=1 --count 70 --seed 3`;
    const count = 70; // more than a batch
    for (const [classes, channels] of [[3, 3], [0, 1]]) {
      await storeNetwork(place, "made", [4, 6], { channels, ...classes > 0 && { classes } });
      await place.succeed("sample", `${flags} --out x.npy`);
      const size = channels * 4 * 6;
      const { values } = readNpy(await place.read("x.npy"));
      assert.equal(values.length, count * size);
      const level = (n: number, c: number, pixel: number) =>
        Math.round(255 * Math.min(1, Math.max(0, values[n * size + c * 24 + pixel])));

      const { stderr } = await place.succeed("sample", `${flags} --out pictures/`);
      assert.match(stderr, /^\d+ samples.*: pictures\/\n$/);
      const name = (n: number) => `${`${n}`.padStart(6, "0")}.png`;
      const folderOf = (n: number) => classes > 0 ? [`${n % classes}`] : [];
      for (let label = 0; label < Math.max(1, classes); label++) {
        const numbers = Array.from({ length: count }, (_, n) => n).filter((n) =>
          n % (classes || 1) === label
        );
        assert.deepEqual(await place.names("pictures", ...folderOf(label)), numbers.map(name));
      }
      for (const n of [0, 1, 64, count - 1]) {
        const { width, height, data } = PNG.sync.read(
          Buffer.from(await place.read("pictures", ...folderOf(n), name(n))),
        );
        assert.deepEqual([width, height], [6, 4]);
        for (const pixel of [0, 7, 23]) {
          for (const c of [0, 1, 2]) assert.equal(data[4 * pixel + c], level(n, c % channels, pixel));
        }
      }
      await Deno.remove(place.file("pictures"), { recursive: true });

      await place.succeed("sample", `${flags} --out x.npz`);
      type Arrays = Record<string, { type: string; shape: number[]; values: number[] }>;
      const arrays = await askPython(python as string, readArrays, place.file("x.npz")) as Arrays;
      const { arr_0: images, arr_1: labels } = arrays;
      assert.deepEqual([images.type, images.shape], ["uint8", [count, 4, 6, channels]]);
      images.values.forEach((value, i) => {
        const [n, pixel, c] = [Math.floor(i / size), Math.floor(i % size / channels), i % channels];
        assert.equal(value, level(n, c, pixel));
      });
      if (classes === 0) assert.equal(labels, undefined);
      else {
        assert.deepEqual([labels.type, labels.values], [
          "int64",
          Array.from({ length: count }, (_, n) => n % 3),
        ]);
      }
    }
  },
  noPython,
);

testTask(
  "sample stopped by Ctrl-C says what is in the folder, and leaves no part of a file",
  async (place) => {
    await storeNetwork(place, "made", [4, 6]);
    await Deno.mkdir(place.file("arrays"));
    for (const out of ["pictures/", "arrays/x.npz"]) {
      const flags = `made.safetensors ${oneThread} --solver heun:steps=50 --count 200000 --out ${out}`;
      const process = place.start("sample", flags);
      const end = ended(process);
      const folder = place.file(out.split("/")[0]);
      const isProbe = ({ name }: Deno.DirEntry) => /^\.[^.]+\.tmp$/.test(name); // of the check before the work
      const hasBegun = async () =>
        await Array.fromAsync(Deno.readDir(folder)).then((names) => !names.every(isProbe), () => false);
      while (!await hasBegun()) await new Promise((resolve) => setTimeout(resolve, 5));
      process.kill("SIGINT");
      const { code, stderr } = await end;
      const left = await Array.fromAsync(Deno.readDir(folder), ({ name }) => name);
      assert.equal(code, 130, stderr);
      if (out.endsWith("/")) {
        assert.ok(stderr.includes(`Stopped: ${left.length} of 200000 images are in pictures/`), stderr);
      } else {
        assert.deepEqual(left, []);
        assert.ok(stderr.includes("Stopped: nothing was written"), stderr);
      }
    }
  },
);

testTask("sample refuses what it cannot write, in one line", async (place) => {
  await storeNetwork(place, "made", [48, 96]);
  await storeNetwork(place, "two", [4, 6], { channels: 2 });
  const refused: Record<string, string> = {
    "none --out data/": "RunError: Cannot use data/: it holds ",
    "none --out data/t10k-labels-idx1-ubyte/": "RunError: Cannot use data/t10k-labels-idx1-ubyte/: not a dir",
    "none --out x/ --columns 3": "ConfigError: --columns has no effect without a picture",
    "none --out docs/..": 'ConfigError: Cannot use --out "docs/..": expected a path that ends with ',
    [`made.safetensors ${oneThread} --count 1000000 --out x.npz`]:
      "ConfigError: Cannot use --out x.npz: 1000000 images take 4.3 GiB (expected less than 4 GiB, or a folder",
    [`two.safetensors ${oneThread} --out y.png`]: "RunError: Cannot draw images of 2 channels as a picture (",
    [`two.safetensors ${oneThread} --out y/`]: "RunError: Cannot draw images of 2 channels as a picture (",
  };
  for (const [flags, says] of Object.entries(refused)) {
    await assertRefused(place, { task: "sample", flags, says: [says] });
  }
  await place.succeed("sample", `two.safetensors ${oneThread} --solver heun:steps=2 --count 3 --out x.npy`);
  assert.match(readNpy(await place.read("x.npy")).header, /'shape': \(3, 2, 4, 6\)/);
});

/** Images of 4 x 6 pixels to write, with something done before the second batch. */
const written = (count: number, labels?: number[], between = () => Promise.resolve()) => ({
  ...{ count, shape: [1, 4, 6] as const, labels: labels && Uint32Array.from(labels), columns: 0 },
  classes: { count: labels?.length ?? 0 },
  batches: (async function* () {
    yield new Float32Array(24);
    await between();
    for (let n = 1; n < count; n++) yield new Float32Array(24);
  })(),
});

testTask("writeSamples() puts images in folders by number if a name is unfit for one", async (place) => {
  const classes = { count: 3, names: ["../x", ".hidden", "an owl"] };
  await writeSamples(place.file("made") + "/", { ...written(3, [0, 1, 2]), classes }, () => {});
  assert.deepEqual(await place.names("made"), ["0", "1", "an owl"]);
});

testTask("writeSamples() leaves another program's image where it is", async (place) => {
  const folder = place.file("made") + "/";
  const theirs = () => Deno.writeTextFile(`${folder}000001.png`, "theirs");
  const message = /^Cannot write .*000001.png: .*; 1 images are complete$/;
  const writing = writeSamples(folder, written(2, undefined, theirs), () => {});
  await assert.rejects(writing, { name: "RunError", message });
  assert.equal(await Deno.readTextFile(`${folder}000001.png`), "theirs");
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
