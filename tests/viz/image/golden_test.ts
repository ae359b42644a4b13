import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
// @ts-types="npm:@types/pngjs@6.0.5"
import { PNG } from "npm:pngjs@7.0.0";
import { testNeeding } from "../../permissions.ts";
import { goldenFolder, goldenFrames } from "./golden.ts";

/** Largest difference of a colour: machines round anti-aliased edges differently. */
const tolerance = 6;

testNeeding({ read: true }, "flowFrames() and filmstrip() draw the golden images", async () => {
  const names = (await Array.fromAsync(Deno.readDir(goldenFolder), ({ name }) => name)).sort();
  const frames = await goldenFrames();
  assert.deepEqual(names, [...frames.keys()].map((name) => `${name}.png`).sort());
  for (const [name, { width, height, rgba }] of frames) {
    const golden = PNG.sync.read(Buffer.from(await Deno.readFile(new URL(`${name}.png`, goldenFolder))));
    assert.deepEqual([golden.width, golden.height], [width, height], name);
    const off = rgba.findIndex((value, i) => Math.abs(value - golden.data[i]) > tolerance);
    const pixel = off >> 2;
    assert.equal(
      off,
      -1,
      `${name} differs at column ${pixel % width}, row ${Math.floor(pixel / width)}; if the new picture is ` +
        "the better one: deno run --allow-write=tests/golden tests/viz/image/golden.ts",
    );
  }
});
