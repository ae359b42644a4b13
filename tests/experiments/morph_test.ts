import { anyOf } from "../../experiments/run/field_checks.ts";
import { solvers } from "../../models/mod.ts";
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
// @ts-types="npm:@types/pngjs@6.0.5"
import { PNG } from "npm:pngjs@7.0.0";
import { readGif } from "../viz/image/gif_reading.ts";
import { testTask, tinyRun, type Workplace } from "./cli.ts";
import { imageSize, writeTinyIdx } from "./data/tiny_idx.ts";
import { assertRefused } from "./refusals.ts";
import { storeNetwork } from "./stored_network.ts";
import { assertSameNumbers } from "../same_numbers.ts";

/** Width of an image pixel in the picture, and positions of cells: captions take 22 columns and 20 rows. */
const scale = 84 / imageSize;
const left = (column: number) => 22 + column * 90;
const top = (row: number) => 20 + row * 90;

const size = [imageSize, imageSize] as const;

/** Grey levels of the image in a cell, one per image pixel. */
function cellOf({ width, data }: PNG, row: number, column: number): number[] {
  return Array.from({ length: imageSize ** 2 }, (_, i) => {
    const y = top(row) + (Math.floor(i / imageSize) + 0.5) * scale;
    const x = left(column) + (i % imageSize + 0.5) * scale;
    return data[4 * (Math.floor(y) * width + Math.floor(x))];
  });
}

/** The test images of the made-up data set, u8[24, H, W]. */
async function testImages(place: Workplace): Promise<number[][]> {
  const bytes = (await place.read("data", "t10k-images-idx3-ubyte")).subarray(16);
  const P = imageSize ** 2;
  return Array.from({ length: bytes.length / P }, (_, n) => [...bytes.subarray(n * P, (n + 1) * P)]);
}

/** Asserts that images differ by at most a few levels, like after mapping to noise and back. */
function assertNear(levels: readonly number[], expected: readonly number[]): void {
  const most = Math.max(...levels.map((level, i) => Math.abs(level - expected[i])));
  assert.ok(most <= 3, `${most} levels apart`);
}

const png = async (place: Workplace, name: string) => PNG.sync.read(Buffer.from(await place.read(name)));
const flags =
  "--checkpoint net.safetensors --data data --device cpu --threads 1 --solver rk4:steps=8 --entry 1";

testTask(
  "morph interpolates between test images, and shows them beside their reconstructions",
  async (place) => {
    await storeNetwork(place, "net", size);
    const { stderr } = await place.succeed("morph", `${flags} --from 3,0 --to 5,23 --frames 4`);
    assert.match(
      stderr,
      /^To noise and back: root mean square error \S+( to \S+)? of pixels from 0 to 1\n2 rows of 4 images, rk4, 8 steps, to noise 32 evaluations each, from noise 32 evaluations each, in [\d.]+ s on .*: morph.png\n$/,
    );
    const [, largest] = /(\S+) of pixels from 0 to 1\n/.exec(stderr)!;
    assert.ok(Number(largest) < 0.01, "each image is compared with its own reconstruction");
    const picture = await png(place, "morph.png");
    assert.deepEqual([picture.width, picture.height], [left(6) - 6, top(2) - 6 + 20]);
    const images = await testImages(place);
    for (const [row, [from, to]] of [[3, 5], [0, 23]].entries()) {
      assertSameNumbers(cellOf(picture, row, 0), images[from]);
      assertSameNumbers(cellOf(picture, row, 5), images[to]);
      assertNear(cellOf(picture, row, 1), images[from]);
      assertNear(cellOf(picture, row, 4), images[to]);
    }
    await place.succeed("morph", `${flags} --to 5 --seed 1 --frames 2 --out to.png`);
    await place.succeed("morph", `${flags} --from 3,0 --to 5,23 --frames 4 --out again.png`);
    assert.deepEqual(await place.read("again.png"), await place.read("morph.png"));
  },
);

testTask(
  "morph animates rows there and back, from noise if there are no test images",
  async (place) => {
    await storeNetwork(place, "net", size, { classes: 10 });
    const { stderr } = await place.succeed("morph", `${flags} --from 3,4,5 --frames 3 --out x.gif`);
    assert.match(stderr, /\n3 rows of 3 images, rk4, 8 steps, guidance 1.3, to noise 32 /);
    const gif = readGif(await place.read("x.gif"));
    assert.equal(gif.frames.length, 3 + 14 + 2); // the far end is shown for 0.9 s
    assert.deepEqual([gif.delays[0], gif.delays.at(-1)], [60, 900]);
    assert.deepEqual([gif.width, gif.height], [left(3) - 6, 28 + top(2) - 6 + 20]); // with a title
    assert.notDeepEqual(gif.frames[0], gif.frames[2]);

    const drawn = flags.replace(/--(data|entry) \S+/g, "");
    const { stderr: noise } = await place.succeed("morph", `${drawn} --frames 2 --count 2 --out x.png`);
    assert.match(
      noise,
      /^2 rows of 2 images, rk4, 8 steps, guidance 1.3, 32 evaluations each with and without the class, in /,
    );
    // The ends equal the samples that `sample` draws from this noise, with the classes 0 to 3.
    await place.succeed(
      "sample",
      "--checkpoint net.safetensors --device cpu --threads 1 --solver rk4:steps=8 --class 0,1,2,3 --count 4 --out s.png",
    );
    const [ends, samples] = [await png(place, "x.png"), await png(place, "s.png")];
    for (const n of [0, 1, 2, 3]) {
      const expected = Array.from({ length: imageSize ** 2 }, (_, i) => {
        const [y, x] = [3 * Math.floor(i / imageSize), n * (3 * imageSize + 2) + 3 * (i % imageSize)];
        return samples.data[4 * (y * samples.width + x)];
      });
      assert.deepEqual(cellOf(ends, Math.floor(n / 2), n % 2), expected);
    }
  },
);

testTask("morph --class maps a test image to noise and back under other classes", async (place) => {
  await storeNetwork(place, "net", size, { classes: 10 });
  const { stderr } = await place.succeed("morph", `${flags} --from 1,12 --class 3,1 --guidance 2`);
  assert.match(stderr, /^To noise and back: .*\n2 rows of 3 images, rk4, 8 steps, guidance 2, to noise 32 /);
  const picture = await png(place, "morph.png");
  assert.deepEqual([picture.width, picture.height], [left(4) - 6, top(2) - 6 + 20]);
  const images = await testImages(place);
  for (const [row, image] of [1, 12].entries()) {
    assertSameNumbers(cellOf(picture, row, 0), images[image]);
    assertNear(cellOf(picture, row, 1), images[image]);
  }
  assertSameNumbers(cellOf(picture, 0, 3), cellOf(picture, 0, 1)); // test image 1 is of class 1
  assert.notDeepEqual(cellOf(picture, 0, 2), cellOf(picture, 0, 1));
  await place.succeed(
    "morph",
    `${flags.replace(/--(data|entry) \S+/g, "")} --class all --count 1 --out x.png`,
  );
  assert.equal((await png(place, "x.png")).width, left(10) - 6);
});

testTask("morph accepts a run and its data, adaptive solvers, and three channels", async (place) => {
  await place.succeed("train:base", `${tinyRun} --max-steps 2 --out run`);
  const { stderr } = await place.succeed(
    "morph",
    "run --device cpu --from 0 --to 1 --frames 2 --solver dopri5:rtol=1e-3",
  );
  assert.match(
    stderr,
    /^To noise and back: .*\n1 row of 2 images, dopri5, rtol 0.001, atol 0.001, to noise \d+ evaluations/,
  );

  await storeNetwork(place, "net", size, { channels: 3 });
  const drawn = "--checkpoint net.safetensors --device cpu --solver heun:steps=2 --count 1 --frames 2";
  for (const name of ["x.png", "x.gif"]) {
    await place.succeed("morph", `${drawn} --out ${name}`);
    const pixels = name === "x.png"
      ? (await png(place, name)).data
      : readGif(await place.read(name)).frames[1];
    assert.ok(pixels.some((value, i) => i % 4 < 2 && Math.abs(value - pixels[i + 1]) > 30), "it has colours");
  }
});

testTask("morph rejects invalid flags in one line, and writes nothing", async (place) => {
  await storeNetwork(place, "net", size);
  await storeNetwork(place, "classes", size, { classes: 10 });
  await storeNetwork(place, "small", [8, 8]);
  await storeNetwork(place, "two", size, { channels: 2 });
  await writeTinyIdx(place.file("few"), { classes: 3 });
  const refused: Record<string, string> = {
    "--from 1 --to 24":
      "ConfigError: Cannot use --to 24: data has 24 test images (expected 0 to 23, or the name of a class with test images)",
    "--from 1,2 --to 3":
      "ConfigError: Cannot use --from 1,2 with --to 3: these are 2 and 1 images (expected equal numbers)",
    "--from 1.5":
      "ConfigError: Cannot use --from 1.5: data has 24 test images (expected 0 to 23, or the name of a class with test images)",
    "--from 1,":
      'ConfigError: Cannot use --from "1,": expected numbers of images from 0, or names of classes, such as 12,owl',
    "--from 1 --solver sde": 'ConfigError: Cannot use --solver "sde": sde only leads from noise to images ' +
      `(expected ${anyOf(Object.keys(solvers))})`,
    "--from 1 --class 3":
      "ConfigError: Cannot use --class with net.safetensors: its network was trained without classes (leave it out)",
    "--from 1 --guidance 2":
      "ConfigError: Cannot use --guidance with net.safetensors: its network was trained without classes (leave it out)",
    "--from 1 --guidance 1 --cfg-zero":
      "ConfigError: --cfg-zero has no effect without guidance (a class, and --guidance other than 1); remove it",
    "--from 1 --to 2 --class 3":
      "ConfigError: --to has no effect with --class, which maps each image back from its own noise; remove it",
    "--class 3 --frames 3":
      "ConfigError: --frames has no effect with --class, which draws one image per class; remove it",
    "--class 3 --out x.gif":
      "ConfigError: Cannot use --out x.gif: --class draws no animation (expected a .png)",
    "--from 1 --count 3":
      "ConfigError: --count has no effect with --from or --to, which give one row per image; remove it",
    "--from 1 --to 2 --entry 1 --seed 3":
      "ConfigError: --seed has no effect without random noise (no image at one end, or --entry below 1); remove it",
    "--entry 0.9": "ConfigError: --entry has no effect without test images, --from or --to; remove it",
    "--data data": "ConfigError: --data has no effect without test images, --from or --to; remove it",
    "--from 1 --out none/x.png": "RunError: Cannot write none/x.png: there is no folder none; make it first",
    "--checkpoint classes.safetensors --from 1 --class 3,10":
      "ConfigError: Cannot draw class 10 from classes.safetensors: it has the classes 0 to 9",
    "--checkpoint classes.safetensors --from 1 --data few":
      "RunError: Cannot morph by classes.safetensors: its network has 10 classes, and few has 3 (expected the same number; see --data)",
    "--checkpoint small.safetensors --from 1":
      "RunError: Cannot morph by small.safetensors: it draws images of [1, 8, 8], and data holds [1, 12, 12] (expected the same size; see --data)",
    "--checkpoint two.safetensors":
      "RunError: Cannot draw images of 2 channels as a picture (expected 1 or 3)",
    "--checkpoint none.safetensors": "RunError: Cannot read the checkpoint none.safetensors: ",
    "--frames 1000 --count 200": "RunError: Cannot draw a picture of 90016 x 18034 pixels",
  };
  for (const [given, says] of Object.entries(refused)) {
    const checkpoint = given.includes("--checkpoint") ? "" : "--checkpoint net.safetensors";
    const data = /--from|--to/.test(given) && !given.includes("--data") ? "--data data" : "";
    const solver = given.includes("--solver") ? "" : "--solver heun:steps=2";
    await assertRefused(place, {
      task: "morph",
      flags: `--device cpu ${solver} ${checkpoint} ${data} ${given}`,
      says: [says],
    });
  }
  const limited = "--checkpoint net.safetensors --device cpu --solver dopri5:rtol=1e-6,max-evaluations=7";
  await assertRefused(place, {
    task: "morph",
    flags: limited,
    says: [
      "RunError: Cannot solve in 7 evaluations: ",
      "(--solver; nothing is written)",
    ],
  });
});
