import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
// @ts-types="npm:@types/pngjs@6.0.5"
import { PNG } from "npm:pngjs@7.0.0";
import { testTask, tinyNetwork } from "./cli.ts";
import { imageSize } from "./data/tiny_idx.ts";

testTask("overfit lowers the loss on its images, and draws samples", async (place) => {
  const { stdout } = await place.succeed(
    "overfit",
    `${tinyNetwork} --model base --images 8 --steps 60 --lr 0.01 --out result`,
  );
  const line =
    /^loss on the 8 images: (\d+\.\d{4}) before, (\d+\.\d{4}) after 60 steps; on 8 held-out images: \d+\.\d{4}\n$/
      .exec(stdout);
  assert.ok(line, stdout);
  assert.ok(Number(line[2]) < 0.7 * Number(line[1]), stdout);
  assert.deepEqual(await place.names("result"), ["last.safetensors", "samples.png"]);
  const { width, height } = PNG.sync.read(Buffer.from(await place.read("result", "samples.png")));
  const side = 5 * (3 * imageSize + 2) - 2;
  assert.deepEqual([width, height], [side, side]);
  await place.succeed(
    "sample",
    "--checkpoint result/last.safetensors --device cpu --count 1 --solver euler:steps=1",
  );
});

testTask(
  "overfit writes nothing without --out, is reproducible, and fails if it diverges",
  async (place) => {
    const flags = `${tinyNetwork} --images 8 --steps 3`;
    const [a, b, diverged] = await Promise.all([
      place.succeed("overfit", flags),
      place.succeed("overfit", flags),
      place.run("overfit", `${flags} --lr 1e30`),
    ]);
    assert.deepEqual([diverged.code, diverged.stdout], [1, ""]);
    assert.match(
      diverged.stderr,
      /\nTrainingError: The loss is (NaN|Infinity) after step \d: training diverges; try a smaller --lr\n$/,
    );
    assert.equal(a.stdout, b.stdout);
    assert.deepEqual(await place.names(), ["data"]);
  },
);
