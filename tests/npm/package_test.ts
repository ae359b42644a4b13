/// <reference lib="dom" />
/** The npm package, as Node, Bun and a page built by Vite use it. */

import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import configuration from "../../deno.json" with { type: "json" };
import * as library from "../../mod.ts";
import { CpuDevice } from "../../kernels/devices/cpu/cpu_device.ts";
import { testInBrowser } from "../browser.ts";
import { writeTinyIdx } from "../experiments/data/tiny_idx.ts";
import { withFolder } from "../folder.ts";
import { granted, testUnless } from "../permissions.ts";
import { type Engines, engines } from "./engines.ts";
import { useLibrary } from "./use_library.js";

const checkpoint = fileURLToPath(new URL("../../checkpoints/mnist_residual.safetensors", import.meta.url));

const found = granted("read") && granted("write") && granted("run") && granted("env") && granted("net")
  ? await engines()
  : { reason: "needs --allow-read --allow-write --allow-run --allow-env --allow-net" };
const reason = "reason" in found ? found.reason : undefined;

/** Runs a program in a folder, with more variables in its environment; returns what it printed. */
async function output(cwd: string | URL, [program, ...args]: readonly string[], env = {}): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command(program, { args, cwd, env }).output();
  assert.ok(success, `${program} ${args}: ${new TextDecoder().decode(stderr)}`);
  return new TextDecoder().decode(stdout);
}

/**
 * Runs `deno task build npm` with a PATH that leads only to tar and its gzip, as on a machine where denow has installed
 * Deno.
 */
async function buildWithoutDenoOnPath(folder: string): Promise<void> {
  const bin = join(folder, "bin");
  await Deno.mkdir(bin);
  for (const name of ["tar", "gzip"]) {
    const [place] = ["/usr/bin", "/bin"].filter((place) => existsSync(join(place, name)));
    await Deno.symlink(join(place, name), join(bin, name));
  }
  const build = [Deno.execPath(), "task", "-q", "build", "npm", folder];
  await output(new URL("../../", import.meta.url), build, { PATH: bin });
}

let installing: Promise<string> | undefined;

/** A folder with the packed library installed, beside the function that uses it; made once. */
async function install(): Promise<string> {
  const folder = await Deno.makeTempDir({ prefix: "flow-" });
  await buildWithoutDenoOnPath(folder);
  const file = join(folder, `flow-matching-${configuration.version}.tgz`);
  const cache = fileURLToPath(new URL("../../.cache/npm-cache", import.meta.url));
  await Deno.writeTextFile(join(folder, "package.json"), JSON.stringify({ private: true, type: "module" }));
  const quietly = ["--silent", "--prefer-offline", "--cache", cache, "--no-audit", "--no-fund"];
  await output(folder, [...(found as Engines).npm, "install", ...quietly, file]);
  await Deno.copyFile(new URL("use_library.js", import.meta.url), join(folder, "use_library.js"));
  return folder;
}

Deno.test.afterAll(async () => {
  if (installing) await Deno.remove(await installing, { recursive: true });
});

/** Defines a test with the folder and the engines. */
const testInstalled = (name: string, test: (folder: string, engines: Engines) => Promise<void>) =>
  testUnless(reason, name, async () => test(await (installing ??= install()), found as Engines));

/** What the library gives in this Deno, by whether multiply-add is fused; computed once. */
const computed = new Map<boolean, unknown>();

async function expected(fused: boolean): Promise<unknown> {
  if (computed.has(fused)) return computed.get(fused);
  const device = await CpuDevice.open({ threads: 2, fused });
  const result = await library.withDevice(device, () => useLibrary(library, checkpoint));
  device.close();
  computed.set(fused, JSON.parse(JSON.stringify(result)));
  return computed.get(fused);
}

testInstalled(
  "the packed library computes the same in Node, Bun and Deno, to the bit",
  async (folder, { run }) => {
    await Deno.writeTextFile(
      join(folder, "main.js"),
      `import * as library from "@flow/matching";
      import { useLibrary } from "./use_library.js";
      const { description, threads } = await library.init({ device: "cpu", threads: 2 });
      const result = await useLibrary(library, ${JSON.stringify(checkpoint)});
      const svg = '<svg xmlns="http://www.w3.org/2000/svg" width="3" height="2"/>';
      const { rgba } = (await library.rasterizer())(svg);
      console.log(JSON.stringify({ description, result, drawn: rgba.length }));`,
    );
    for (const [name, command] of Object.entries(run)) {
      const { description, result, drawn } = JSON.parse(await output(folder, [...command, "main.js"]));
      assert.match(description, /^2 threads, WebAssembly SIMD/, name);
      assert.equal(drawn, 4 * 3 * 2, name);
      assert.deepEqual(result, await expected(description.includes("fused")), `${name}: ${description}`);
    }
  },
);

testInstalled(
  "the package names one version of each dependency, and its README's examples run in Node as they stand",
  async (folder, { run }) => {
    const manifest = await Deno.readTextFile(join(folder, "node_modules/@flow/matching/package.json"));
    const versions = Object.values<string>(JSON.parse(manifest).dependencies);
    assert.ok(versions.length > 0);
    for (const version of versions) assert.match(version, /^\d+\.\d+\.\d+$/);
    const readme = await Deno.readTextFile(join(folder, "node_modules/@flow/matching/README.md"));
    assert.match(readme, /^# @flow\/matching\n[^]*\nnpm install @flow\/matching\n/);
    const examples = Array.from(readme.matchAll(/^```js\n(.*?)^```$/gms), ([, code]) => code);
    assert.equal(examples.length, 3);
    for (const [i, code] of examples.entries()) {
      assert.match(code, /^await init\(/m); // they share a program
      await Deno.writeTextFile(join(folder, `${i}.mjs`), code);
    }
    const all = examples.map((_, i) => `await import("./${i}.mjs");\n`).join("");
    await Deno.writeTextFile(join(folder, "all.mjs"), `${all}process.exit();\n`);
    await output(folder, [...run["Node 26"], "all.mjs"]);
  },
);

testInstalled(
  "deno run npm: runs the tasks in an empty folder: workers, own networks, MNIST, doctor's script",
  (installed) =>
    withFolder(async (folder) => {
      await using registry = await serveScope(installed);
      await Deno.writeTextFile(
        join(folder, ".npmrc"),
        `@flow:registry=http://127.0.0.1:${registry.addr.port}/\n`,
      );
      await writeTinyIdx(join(folder, "data"));
      await Deno.writeTextFile(
        join(folder, "mine.ts"),
        `import { add, Linear, Module, reshape, type Tensor } from "npm:@flow/matching";
export default class Mine extends Module {
  layer = new Linear(144, 144);
  velocity(x: Tensor, t: Tensor) {
    const [n] = x.shape;
    return reshape(add(this.layer.forward(reshape(x, [n, 144])), reshape(t, [n, 1])), x.shape);
  }
}
`,
      );
      const command = [Deno.execPath(), "run", "-A", "-q", "npm:@flow/matching"];
      const env = { HOME: folder, DENO_DIR: join(folder, "cache"), NO_COLOR: "1" };
      const run = (flags = "") => output(folder, [...command, ...flags.split(" ").filter(Boolean)], env);
      const start = `deno run -A npm:@flow/matching@${configuration.version}`;
      assert.ok((await run()).startsWith(`Usage: ${start} TASK `));
      const cpu = "--device cpu --threads 1";
      await run(
        "train --model ./mine.ts --data data --max-steps 2 --coupling ot --solver euler:steps=2 --samples 4 " +
          `--flow-samples 1 --flow-steps 2 --flow-frames 2 --path-samples 0 --out run ${cpu}`,
      );
      assert.match(await Deno.readTextFile(join(folder, "run/report.html")), /^<!doctype html>/i);
      assert.match(await run("doctor --device cpu"), /^ok +training +training uses the CPU/m);
      await run(`sample run --model ./mine.ts --count 4 --out four.png ${cpu}`);
      assert.ok((await Deno.stat(join(folder, "four.png"))).size > 100);
    }),
);

/** A registry with only this package, which answers like npm; an `.npmrc` sends Deno there for its scope. */
async function serveScope(installed: string): Promise<Deno.HttpServer<Deno.NetAddr>> {
  const manifest = JSON.parse(
    await Deno.readTextFile(join(installed, "node_modules/@flow/matching/package.json")),
  );
  const file = join(installed, `flow-matching-${configuration.version}.tgz`);
  return Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, async ({ url }) => {
    if (url.endsWith(".tgz")) return new Response(await Deno.readFile(file));
    const version = { ...manifest, dist: { tarball: new URL("/package.tgz", url) } };
    return Response.json({
      name: manifest.name,
      "dist-tags": { latest: manifest.version },
      versions: { [manifest.version]: version },
    });
  });
}

await testInBrowser(
  "a page that Vite builds from the packed library computes the same",
  async (browser) => {
    const folder = await (installing ??= install());
    await Deno.writeTextFile(
      join(folder, "index.html"),
      `<!doctype html><link rel="icon" href="data:,"><script type="module" src="/main.js"></script>`,
    );
    await Deno.writeTextFile(
      join(folder, "main.js"),
      `import * as library from "@flow/matching";
      import { useLibrary } from "./use_library.js";
      async function answer() {
        const { description } = await library.init({ device: "cpu" });
        return { description, result: await useLibrary(library, "/checkpoint") };
      }
      window.answer = await answer().catch((error) => ({ description: String(error) }));`,
    );
    await output(folder, [...(found as Engines).vite, "build", "--logLevel", "error"]);
    await Deno.copyFile(checkpoint, join(folder, "dist/checkpoint"));
    await using server = Deno.serve(
      { hostname: "127.0.0.1", port: 0, onListen() {} },
      async (request) => {
        const { pathname } = new URL(request.url);
        const file = pathname === "/" ? "/index.html" : pathname;
        const types = { html: "text/html", js: "text/javascript" };
        const type = types[file.split(".").at(-1) as keyof typeof types] ?? "application/octet-stream";
        return new Response(await Deno.readFile(join(folder, "dist", file)), {
          headers: { "content-type": type },
        });
      },
    );
    const page = await browser.newPage();
    await page.goto(`http://127.0.0.1:${server.addr.port}/`);
    const answer = await page.waitForFunction(() => (globalThis as { answer?: object }).answer);
    const { description, result } = await answer.jsonValue() as { description: string; result: unknown };
    assert.deepEqual(result, await expected(description.includes("fused")), description);
  },
  reason,
);
