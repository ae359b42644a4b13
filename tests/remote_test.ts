import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { join } from "node:path";
// @ts-types="npm:@types/pngjs@6.0.5"
import { PNG } from "npm:pngjs@7.0.0";
import settings from "../deno.json" with { type: "json" };
import { serveFiles } from "../experiments/serve.ts";
import { init } from "../kernels/mod.ts";
import { createModel, saveCheckpoint, type UNetModelOptions } from "../models/mod.ts";
import { assertLikeDigits } from "./digit_features.ts";
import { runElsewhere, withFolder } from "./folder.ts";
import { filesBelow, importsFrom, reachedFrom } from "./module_graph.ts";
import { testNeeding, testUnless, toConnect, toRun } from "./permissions.ts";
import { openDevice, PlaneTraining } from "../playground/plane_training.ts";
import { programText } from "../playground/program_text.ts";
import { settingsOf } from "../playground/settings.ts";
import * as web from "../web/mod.ts";
import { noAdapter } from "./testing.ts";
import { readGif } from "./viz/image/gif_reading.ts";

/** Arguments of the command for an example in docs/library.md, with another host. */
async function commandOf(example: string, host: string): Promise<string[]> {
  const page = await Deno.readTextFile(new URL("../docs/library.md", import.meta.url));
  const [, words] = new RegExp(`^deno run (.*/examples/${example})$`, "m").exec(page) ??
    assert.fail(`docs/library.md does not run ${example}`);
  return words.replace("https://example.org/flow", `http://${host}`).replace("example.org", host).split(" ");
}

/** A simulated other machine: an empty folder, an empty cache, and this checkout at a web address. */
interface Elsewhere {
  /** `127.0.0.1:<port>`. */
  readonly host: string;
  readonly folder: string;
  /** Runs a program with these flags and no other permission, and returns its output. */
  readonly run: (...args: readonly string[]) => Promise<string>;
}

/** Width and height of a picture that a program has written. */
async function sizeOf({ folder }: Elsewhere, name: string): Promise<number[]> {
  const { width, height } = PNG.sync.read(Buffer.from(await Deno.readFile(join(folder, name))));
  return [width, height];
}

testNeeding(
  toConnect,
  "mod.ts and examples/ work over HTTP, by the commands in the docs",
  () =>
    withFolder(async (folder) => {
      await using server = serveFiles();
      const run = async (...args: readonly string[]) => {
        const flags = ["run", "--no-prompt", ...args];
        const { code, out, err } = await runElsewhere(folder, Deno.execPath(), flags);
        assert.equal(code, 0, err);
        return out;
      };
      const elsewhere: Elsewhere = { host: `127.0.0.1:${server.addr.port}`, folder, run };
      await importsLibrary(elsewhere);
      await samplesDigits(elsewhere);
      await runsExamples(elsewhere);
      await runsPlaygroundProgram(elsewhere);
    }),
);

/** Writes untrained weights of images of 8 x 8 pixels. */
async function writeWeights({ folder }: Elsewhere, name: string, options: Partial<UNetModelOptions>) {
  const config = { type: "UNet_FM_Residuals", filters: [8, 8], tEmb: 8, ...options } as const;
  const info = { config, normalization: { scale: 2, shift: -1 }, imageSize: [8, 8] } as const;
  await Deno.writeFile(join(folder, name), await saveCheckpoint(createModel(config, 1), info));
}

/** A program samples colour images from a checkpoint. */
async function importsLibrary(elsewhere: Elsewhere): Promise<void> {
  const { host, folder, run } = elsewhere;
  await init({ device: "cpu" });
  await writeWeights(elsewhere, "model.safetensors", { channels: 3 });
  const program = `
import { encodePng, encodeRasterPng, filmstrip, imageGrid, init, openCheckpoint, rasterizer, sample } from "http://${host}/mod.ts";
await init({ device: "cpu" });
const { model } = await openCheckpoint("model.safetensors");
const images = await sample(model, { count: 4, shape: [3, 8, 8], seed: 0, steps: 2, solver: "heun" }).read();
await Deno.writeFile("digits.png", encodePng(imageGrid(images, [4, 3, 8, 8], { range: [-1, 1] })));
const trajectory = { t: Float32Array.of(0, 1), image: images.slice(384), velocity: images.slice(0, 192), shape: [2, 3, 8, 8] } as const;
const draw = await rasterizer();
await Deno.writeFile("strip.png", encodeRasterPng(draw(filmstrip([{ trajectories: [trajectory] }], { frames: 2 }))));
`;
  await Deno.writeTextFile(join(folder, "main.ts"), program);
  const [reads, writes] = ["--allow-read=model.safetensors", "--allow-write=digits.png,strip.png"];
  await run(`--allow-import=${host}`, reads, writes, "main.ts");
  assert.deepEqual(await sizeOf(elsewhere, "digits.png"), [16, 16]);
  assert.deepEqual(await sizeOf(elsewhere, "strip.png"), [317, 20 + 112 + 20]); // as wide as its note
}

async function samplesDigits({ host, folder, run }: Elsewhere): Promise<void> {
  await run(...await commandOf("sample_digits.ts", host));
  const { width, height, data } = PNG.sync.read(Buffer.from(await Deno.readFile(join(folder, "digits.png"))));
  assert.deepEqual([width, height], [4 * 112, 4 * 112]);
  assertLikeDigits(Array.from({ length: 16 }, (_, n) =>
    Array.from({ length: 784 }, (_, i) => {
      const row = 4 * (Math.floor(n / 4) * 28 + Math.floor(i / 28)); // an image pixel is 4 x 4 pixels
      return data[4 * (row * width + 4 * (n % 4 * 28 + i % 28))] / 255;
    })));
}

/** Examples train networks, fit a line, declare an op, and draw what a network makes of noise. */
async function runsExamples(elsewhere: Elsewhere): Promise<void> {
  const { host, folder, run } = elsewhere;
  const example = async (name: string) => run(...await commandOf(name, host));
  const ring = await example("train_ring.ts");
  const away = Number(/^mean distance from the ring (0\.\d+)\n$/.exec(ring)?.[1]);
  assert.ok(away < 0.14, ring); // for plain noise it is 0.5
  assert.equal(await example("fit_line.ts"), "y = 1.940 x + 1.090\n");
  assert.match(await example("new_op.ts"), /^(webgpu|cpu) \[[^\]]*0\.6931471\d+,[^\]]*\]\n$/);
  await writeWeights(elsewhere, "classes.safetensors", { filters: [8], classes: 10 });
  const files = ["--allow-read=classes.safetensors", "--allow-write=morph.gif,hands.png"];
  await run(...files, `http://${host}/examples/morph.ts`, "classes.safetensors");
  assert.deepEqual(await sizeOf(elsewhere, "hands.png"), [11 * 26 - 2, 5 * 26 - 2]);
  assert.equal(readGif(await Deno.readFile(join(folder, "morph.gif"))).frames.length, 48);
  // The first example does everything in one program: data, training, samples, pictures.
  const said = await run("-A", `http://${host}/examples/train_mnist.ts`, "2");
  assert.match(said, /^step 2 of 2, loss \d\.\d+, .*\nWrote digits\.png and digits\.gif\n$/m);
  assert.deepEqual(await sizeOf(elsewhere, "digits.png"), [10 * 58 - 2, 4 * 58 - 2]);
  assert.equal(readGif(await Deno.readFile(join(folder, "digits.gif"))).frames.length, 21);
}

/** The program that the playground copies runs by the command in its first lines. */
async function runsPlaygroundProgram({ host, folder, run }: Elsewhere): Promise<void> {
  const { settings } = settingsOf("#steps=6&objective=one_step&batch=32&moves=1");
  const program = programText(settings, `http://${host}/`);
  await Deno.writeTextFile(join(folder, "FILE.ts"), program);
  const printed = await run(...program.match(/deno run (.*)/)![1].split(" "));
  await openDevice(web, 1);
  const training = new PlaneTraining(web, settings);
  while (!training.done) await training.train(1000);
  assert.ok(printed.includes(await training.digest()), printed);
}

/** Runs Deno in this checkout. */
async function runHere(...args: string[]) {
  const how = { args, cwd: new URL("..", import.meta.url), env: { NO_COLOR: "1" } };
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), how).output();
  const [out, err] = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes));
  return { code, out, err };
}

testUnless(noAdapter, "examples/new_op.ts has its WGSL checked on WebGPU", async () => {
  const { out, err } = await runHere("run", "--no-prompt", "examples/new_op.ts", "webgpu");
  assert.match(out, /^webgpu /, err);
});

// A registry would also check that the name is free, the version is new and the npm packages exist.
testNeeding(toRun, "deno publish --dry-run finds no problem, and packs what the exports need", async () => {
  const flags = ["--dry-run", "--allow-dirty", "--no-lock", "--no-check"]; // types are checked separately
  const { code, err } = await runHere("publish", ...flags);
  assert.equal(code, 0, err);
  // Packages whose name is not a literal, and the modules of own networks.
  const warnings = Array.from(err.matchAll(/^warning\[([\w-]+)\].*\n +--> .*?(\w+\/\w+\.\w+):/gm));
  assert.deepEqual(warnings.map(([, name, file]) => `${name} in ${file}`).sort(), [
    "unanalyzable-dynamic-import in networks/own_network.ts",
    "unanalyzable-dynamic-import in run/program_files.ts",
  ]);
  const root = new URL("..", import.meta.url).href;
  const listed = err.matchAll(/^ +(file:.*) \([\d.]+\w+\)$/gm);
  const packed = Array.from(listed, ([, url]) => url.slice(root.length));
  const exports = Object.values(settings.exports).map((path) => path.slice(2));
  const needed = [
    ...reachedFrom(exports, await importsFrom(exports)),
    ...["web/flow.js", "deno.json", "README.md", "LICENSE", ...await filesBelow("checkpoints/")],
    ...["experiments/doctor.sh", "experiments/networks/model.py"],
    ...["examples/sample_in_page.html", "examples/sample_in_worker.js"],
  ];
  assert.deepEqual(needed.filter((path) => !packed.includes(path)), []);
  const inside = /^(tests|tools|docs|notebooks|playground\/page)\//;
  assert.deepEqual(packed.filter((path) => inside.test(path)), []);
});
