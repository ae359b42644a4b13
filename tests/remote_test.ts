import assert from "node:assert/strict";
import { PNG } from "npm:pngjs@7.0.0";
import { Buffer } from "node:buffer";
import { join } from "node:path";
import { init } from "../kernels/mod.ts";
import { createModel, saveCheckpoint } from "../models/mod.ts";
import { assertLikeDigits } from "./digit_features.ts";
import { runElsewhere, withFolder } from "./folder.ts";
import { granted, isShort, testNeeding, testUnless } from "./permissions.ts";
import { serveFiles } from "../experiments/serve.ts";
import { openDevice, PlaneTraining } from "../playground/plane_training.ts";
import { programText } from "../playground/program_text.ts";
import { settingsOf } from "../playground/settings.ts";
import * as web from "../web/mod.ts";
import { readGif } from "./viz/image/gif_reading.ts";
import { filesBelow, importsFrom, reachedFrom } from "./module_graph.ts";
import settings from "../deno.json" with { type: "json" };

// @ts-types="npm:@types/pngjs@6.0.5"

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
  /** A picture that a program has written. */
  readonly png: (name: string) => Promise<PNG>;
}

testNeeding(
  { read: true, write: true, run: true, net: true, env: true },
  "mod.ts and examples/ work over HTTP with a fresh cache and no deno.json, by the commands in the docs",
  async () => {
    await using server = serveFiles();
    await withFolder(async (folder) => {
      const elsewhere: Elsewhere = {
        host: `127.0.0.1:${server.addr.port}`,
        folder,
        async run(...args) {
          const { code, out, err } = await runElsewhere(folder, Deno.execPath(), [
            "run",
            "--no-prompt",
            ...args,
          ]);
          assert.equal(code, 0, err);
          return out;
        },
        png: async (name) => PNG.sync.read(Buffer.from(await Deno.readFile(join(folder, name)))),
      };
      await importsLibrary(elsewhere);
      await samplesDigits(elsewhere);
      await runsExamples(elsewhere);
      await trainsOnMnist(elsewhere);
      await runsPlaygroundProgram(elsewhere);
    });
  },
);

/** A program that type-checks samples from a checkpoint; the same checkpoint, for colour images, works in an example. */
async function importsLibrary({ host, folder, run, png }: Elsewhere): Promise<void> {
  const config = { type: "UNet_FM_Residuals", filters: [8, 8], tEmb: 8, channels: 3 } as const;
  await init({ device: "cpu" });
  const info = { config, normalization: { scale: 2, shift: -1 }, imageSize: [8, 8] } as const;
  await Deno.writeFile(
    join(folder, "model.safetensors"),
    await saveCheckpoint(createModel(config, 1), info),
  );
  await Deno.writeTextFile(
    join(folder, "main.ts"),
    `import { encodePng, encodeRasterPng, filmstrip, imageGrid, init, openCheckpoint, rasterizer, sample } from "http://${host}/mod.ts";
await init({ device: "cpu" });
const { model } = await openCheckpoint("model.safetensors");
const images = await sample(model, { count: 4, shape: [3, 8, 8], seed: 0, steps: 2, solver: "heun" }).read();
await Deno.writeFile("digits.png", encodePng(imageGrid(images, [4, 3, 8, 8], { range: [-1, 1] })));
const trajectory = { t: Float32Array.of(0, 1), image: images.slice(384), velocity: images.slice(0, 192), shape: [2, 3, 8, 8] } as const;
const draw = await rasterizer();
await Deno.writeFile("strip.png", encodeRasterPng(draw(filmstrip([{ trajectories: [trajectory] }], { frames: 2 }))));
`,
  );
  await run(
    isShort ? "--no-check" : "--check",
    `--allow-import=${host}`,
    "--allow-read=model.safetensors",
    "--allow-write=digits.png,strip.png",
    "main.ts",
  );
  const picture = await png("digits.png");
  assert.deepEqual([picture.width, picture.height], [16, 16]);
  const strip = await png("strip.png");
  // As wide as its note.
  assert.deepEqual([strip.width, strip.height], [313, 20 + 112 + 20]);
  await run(
    "--allow-read=model.safetensors",
    "--allow-write=digits.png",
    `http://${host}/examples/sample_digits.ts`,
    "model.safetensors",
  );
  const tiles = await png("digits.png");
  assert.deepEqual([tiles.width, tiles.height], [4 * 32, 4 * 32]);
}

async function samplesDigits({ host, run, png }: Elsewhere): Promise<void> {
  await run(...await commandOf("sample_digits.ts", host));
  const picture = await png("digits.png");
  assert.deepEqual([picture.width, picture.height], [4 * 112, 4 * 112]);
  assertLikeDigits(Array.from({ length: 16 }, (_, n) =>
    Array.from({ length: 784 }, (_, i) => {
      const row = 4 * (Math.floor(n / 4) * 28 + Math.floor(i / 28)); // an image pixel is 4 x 4 pixels
      return picture.data[4 * (row * picture.width + 4 * (n % 4 * 28 + i % 28))] / 255;
    })));
}

/** Examples train a network, fit a line, declare an op, and draw what a network makes of noise. */
async function runsExamples({ host, folder, run, png }: Elsewhere): Promise<void> {
  const example = async (name: string) => run(...await commandOf(name, host));
  const ring = await example("train_ring.ts");
  const away = Number(/^mean distance from the ring (0\.\d+)\n$/.exec(ring)?.[1]);
  assert.ok(away < 0.14, ring); // for plain noise it is 0.5
  assert.equal(await example("fit_line.ts"), "y = 1.940 x + 1.090\n");
  assert.match(
    await example("new_op.ts"),
    /^(webgpu|cpu) \[[^\]]*0\.6931471\d+,[^\]]*\]\n$/,
  );
  const config = { type: "UNet_FM_Residuals", filters: [8], tEmb: 8, classes: 10 } as const;
  const info = { config, normalization: { scale: 2, shift: -1 }, imageSize: [8, 8] } as const;
  const classes = await saveCheckpoint(createModel(config, 1), info);
  await Deno.writeFile(join(folder, "classes.safetensors"), classes);
  await run(
    "--allow-read=classes.safetensors",
    "--allow-write=morph.gif,hands.png",
    `http://${host}/examples/morph.ts`,
    "classes.safetensors",
  );
  const hands = await png("hands.png");
  assert.deepEqual([hands.width, hands.height], [11 * 26 - 2, 5 * 26 - 2]);
  assert.equal(readGif(await Deno.readFile(join(folder, "morph.gif"))).frames.length, 48);
}

/** The first example does everything in one program: data, training, samples, pictures. */
async function trainsOnMnist({ host, folder, run, png }: Elsewhere): Promise<void> {
  const said = await run("-A", `http://${host}/examples/train_mnist.ts`, "2");
  assert.match(said, /^step 2 of 2, loss \d\.\d+, .*\nWrote digits\.png and digits\.gif\n$/m);
  const { width, height } = await png("digits.png");
  assert.deepEqual([width, height], [10 * 58 - 2, 4 * 58 - 2]);
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

const noWgsl = !granted("run")
  ? "needs --allow-run"
  : await navigator.gpu?.requestAdapter()
  ? undefined
  : "no WebGPU adapter";
testUnless(noWgsl, "examples/new_op.ts has its WGSL checked on WebGPU", async () => {
  const { stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "--no-prompt", "examples/new_op.ts", "webgpu"],
    cwd: new URL("..", import.meta.url),
    env: { NO_COLOR: "1" },
  }).output();
  assert.match(new TextDecoder().decode(stdout), /^webgpu /, new TextDecoder().decode(stderr));
});

// A registry would also check that the name is free, the version is new and the npm packages exist.
testNeeding(
  { read: true, write: true, run: true },
  "deno publish --dry-run finds no problem, and packs every file that the exports need",
  async () => {
    const { success, stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["publish", "--dry-run", "--allow-dirty", "--no-lock", "--no-check"], // types are checked separately
      cwd: new URL("..", import.meta.url),
      env: { NO_COLOR: "1" },
    }).output();
    const output = new TextDecoder().decode(stderr);
    assert.ok(success, output);
    // Packages whose name is not a literal, and the modules of own networks.
    const warnings = Array.from(output.matchAll(/^warning\[([\w-]+)\].*\n +--> .*?(\w+\/\w+\.\w+):/gm));
    assert.deepEqual(warnings.map(([, name, file]) => `${name} in ${file}`).sort(), [
      "unanalyzable-dynamic-import in networks/own_network.ts",
      "unanalyzable-dynamic-import in run/program_files.ts",
    ]);
    const root = new URL("..", import.meta.url).href;
    const packed = Array.from(
      output.matchAll(/^ +(file:.*) \([\d.]+\w+\)$/gm),
      ([, url]) => url.slice(root.length),
    );
    const exports = Object.values(settings.exports).map((path) => path.slice(2));
    const needed = [
      ...reachedFrom(exports, await importsFrom(exports)),
      ...["web/flow.js", "deno.json", "README.md"],
      ...[
        "experiments/doctor.sh",
        "experiments/networks/model.py",
        "examples/sample_in_page.html",
        "examples/sample_in_worker.js",
      ],
      ...await filesBelow("checkpoints/"),
      "LICENSE",
    ];
    assert.deepEqual(needed.filter((path) => !packed.includes(path)), []);
    assert.deepEqual(
      packed.filter((path) => /^(tests|tools|docs|notebooks|playground\/page)\//.test(path)),
      [],
    );
  },
);
