import assert from "node:assert/strict";
// @ts-types="npm:@types/pngjs@6.0.5"
import { PNG } from "npm:pngjs@7.0.0";
import { Buffer } from "node:buffer";
import { extname, join } from "node:path";
import { init } from "../kernels/mod.ts";
import { createModel, saveCheckpoint } from "../models/mod.ts";
import { testNeeding } from "./permissions.ts";

const types: Record<string, string> = {
  ".ts": "text/typescript",
  ".js": "text/javascript",
  ".wgsl": "text/plain",
  ".json": "application/json",
};

/** Serves the checkout as a static host would. */
function serveCheckout(): Deno.HttpServer<Deno.NetAddr> {
  return Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, async (request) => {
    const { pathname } = new URL(request.url);
    try {
      const bytes = await Deno.readFile(new URL(`..${pathname}`, import.meta.url));
      return new Response(bytes, {
        headers: { "content-type": types[extname(pathname)] ?? "application/octet-stream" },
      });
    } catch {
      return new Response("not found", { status: 404 });
    }
  });
}

testNeeding(
  { read: true, write: true, run: true, net: true, env: true },
  "mod.ts imported over HTTP samples from a checkpoint, with a fresh cache and no deno.json",
  async () => {
    await using server = serveCheckout();
    const { port } = server.addr;
    const folder = await Deno.makeTempDir();
    try {
      const config = { type: "UNet_FM_Residuals", filters: [8, 8], tEmb: 8 } as const;
      await init({ device: "cpu" });
      const info = { config, normalization: { scale: 2, shift: -1 }, imageSize: [8, 8] } as const;
      await Deno.writeFile(
        join(folder, "model.safetensors"),
        await saveCheckpoint(createModel(config, 1), info),
      );
      await Deno.writeTextFile(
        join(folder, "main.ts"),
        `import { encodePng, encodeRasterPng, filmstrip, grid, init, loadCheckpoint, rasterizer, sample } from "http://127.0.0.1:${port}/mod.ts";
await init({ device: "cpu" });
const { model } = loadCheckpoint(await Deno.readFile("model.safetensors"), "model.safetensors");
const images = await sample(model, { count: 4, shape: [1, 8, 8], seed: 0, steps: 2, solver: "heun" }).read();
await Deno.writeFile("digits.png", encodePng(grid(images, [4, 8, 8], { range: [-1, 1] })));
const evolution = { t: Float32Array.of(0, 1), image: images.slice(128), velocity: images.slice(0, 64), shape: [2, 8, 8] } as const;
const draw = await rasterizer();
await Deno.writeFile("strip.png", encodeRasterPng(draw(filmstrip([{ evolutions: [evolution] }], { frames: 2 }))));
`,
      );
      const { success, stderr } = await new Deno.Command(Deno.execPath(), {
        args: [
          "run",
          "--no-prompt",
          "--check",
          `--allow-import=127.0.0.1:${port}`,
          "--allow-read=model.safetensors",
          "--allow-write=digits.png,strip.png",
          "main.ts",
        ],
        cwd: folder,
        env: { DENO_DIR: join(folder, "cache"), NO_COLOR: "1" },
      }).output();
      assert.ok(success, new TextDecoder().decode(stderr));
      const picture = PNG.sync.read(Buffer.from(await Deno.readFile(join(folder, "digits.png"))));
      assert.deepEqual([picture.width, picture.height], [16, 16]);
      const strip = PNG.sync.read(Buffer.from(await Deno.readFile(join(folder, "strip.png"))));
      assert.deepEqual([strip.width, strip.height], [2 * 112 + 6, 20 + 112 + 20]);
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  },
);
