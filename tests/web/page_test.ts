import assert from "node:assert/strict";
import { brotliCompressSync, deflateRawSync } from "node:zlib";
import { type Page, testInBrowser, withoutDevices } from "../browser.ts";
import { assertLikeDigits } from "../digit_features.ts";
import { withCacheFolder } from "../folder.ts";
import { isolation, serveFiles } from "../../experiments/serve.ts";
import { assertClose } from "../testing.ts";
import { builtWith, generated } from "../../tools/bundle.ts";
import { granted, isShort, testNeeding, testUnless } from "../permissions.ts";
import { assertSameNumbers } from "../same_numbers.ts";

/// <reference lib="dom" />
/** The library in Chromium: `web/flow.js` and the example that imports it. */

type Library = typeof import("../../web/mod.ts");

/** Opens a file of the repository in a page that can import `/web/flow.js`. */
async function openAt(page: Page, server: Deno.HttpServer<Deno.NetAddr>, path: string): Promise<void> {
  await page.goto(`http://127.0.0.1:${server.addr.port}/${path}`);
}

/** Draws a digit in few steps on a device; returns the pixels and the device's description. */
function drawOne(page: Page, device: "cpu" | "webgpu", threads = 0) {
  return page.evaluate(async ([device, threads]) => {
    const address = "/web/flow.js"; // resolved in the page, not in this module
    const { init, openCheckpoint, sample }: Library = await import(address);
    try {
      const { description } = await init({ device, threads });
      const { model, shape } = await openCheckpoint("/checkpoints/mnist_residual.safetensors");
      const x1 = sample(model, { count: 1, shape, seed: 0, steps: 2, solver: "heun" });
      return { description, pixels: [...await x1.read()] };
    } catch (error) {
      return { description: `${error}`, pixels: [] };
    }
  }, [device, threads] as const);
}

await testInBrowser("examples/sample_in_page.html draws 16 digits on the processor", async (browser) => {
  await using server = serveFiles();
  const page = await browser.newPage();
  await openAt(page, server, "examples/sample_in_page.html");
  const drawn = async () => {
    await page.waitForFunction(() => document.getElementById("words")!.textContent!.startsWith("16 digits"));
    return await page.evaluate(() => {
      const context = (document.getElementById("digits") as HTMLCanvasElement).getContext("2d")!;
      return [...context.getImageData(0, 0, 448, 448).data].filter((_, i) => i % 4 === 0);
    });
  };
  const grey = await drawn();
  assert.match(await page.locator("#words").innerText(), /cpu: 1 thread, WebAssembly SIMD/);
  for (const name of ["Draw again", "1"]) {
    await page.getByRole("button", { name, exact: true }).click();
    await page.waitForFunction(() => document.getElementById("words")!.textContent!.startsWith("Sampling"));
    assert.notDeepEqual(await drawn(), grey, name);
  }
  assertLikeDigits(Array.from({ length: 16 }, (_, n) =>
    Array.from({ length: 784 }, (_, i) => {
      const [y, x] = [28 * Math.floor(n / 4) + Math.floor(i / 28), 28 * (n % 4) + i % 28];
      return grey[4 * (448 * y + x)] / 255;
    })));
});

await testInBrowser(
  "init() in a page: as many threads as the browser allows, and WebGPU draws the same",
  async (browser) => {
    await using open = serveFiles();
    await using isolated = serveFiles({ headers: isolation });
    const page = await browser.newPage();
    await openAt(page, open, "deno.json");
    assert.equal(
      (await drawOne(page, "cpu", 2)).description,
      "DeviceError: Cannot open the CPU device with 2 threads: this page is not cross-origin isolated (expected 1, or 0)",
    );
    const [one, gpu] = [await drawOne(page, "cpu"), await drawOne(page, "webgpu")];
    assert.match(one.description, /^1 thread, /);
    assert.match(gpu.description, /software/);
    assertClose(gpu.pixels, one.pixels, 2e-3);

    await openAt(page, isolated, "deno.json");
    const refused = await drawOne(page, "cpu", 2);
    assert.match(refused.description, /2 threads: the main thread of a page may not block/);
    assert.match((await drawOne(page, "cpu")).description, /^1 thread, /);

    // A worker of an isolated page can use threads.
    const two = await page.evaluate(() => {
      const program = `
      import { init, openCheckpoint, sample } from "${location.origin}/web/flow.js";
      const { description } = await init({ device: "cpu", threads: 2 });
      const checkpoint = "${location.origin}/checkpoints/mnist_residual.safetensors";
      const { model, shape } = await openCheckpoint(checkpoint);
      const draw = () => sample(model, { count: 1, shape, seed: 0, steps: 2, solver: "heun" }).read();
      await draw();
      await new Promise((resolve) => setTimeout(resolve, 200)); // the other thread has started by now
      postMessage({ description, pixels: [...await draw()] });`;
      const address = URL.createObjectURL(new Blob([program], { type: "text/javascript" }));
      const worker = new Worker(address, { type: "module" });
      return new Promise<{ description: string; pixels: number[] }>((resolve, reject) => {
        worker.onmessage = ({ data }) => resolve(data);
        worker.onerror = ({ message }) => reject(new Error(message));
      });
    });
    assert.match(two.description, /^2 threads, /);
    assertSameNumbers(two.pixels, one.pixels, "results do not depend on the number of threads");
  },
);

await testInBrowser(
  "init() in a page reports in one line what is missing: a server, or WebGPU and shared memory",
  async (browser) => {
    await using server = serveFiles();
    const page = await browser.newPage();
    await page.goto(import.meta.resolve("../../examples/sample_in_page.html")); // from a file
    const said = async () => {
      await page.waitForFunction(() => !/^(Load|Sampl)/.test(document.getElementById("words")!.textContent!));
      return await page.locator("#words").innerText();
    };
    const advice =
      /^Cannot load the library: serve the repository's folder and open this page over HTTP \(\w/;
    assert.match(await said(), advice);
    await page.route("**/sample_in_worker.js", async (route) => {
      const program = await (await route.fetch()).text();
      await route.fulfill({ contentType: "text/javascript", body: `(${withoutDevices})();${program}` });
    });
    await openAt(page, server, "examples/sample_in_page.html");
    assert.equal(
      await said(),
      "DeviceError: Cannot open the CPU device: TypeError: no shared memory; WebGPU is not available either: No " +
        "WebGPU adapter: this browser offers none to this page (it needs https, localhost or a file, and a GPU)",
    );
  },
);

const reason = !granted("read") || !granted("run")
  ? "needs --allow-read --allow-run"
  : Deno.version.deno === builtWith
  ? undefined
  : `built with Deno ${builtWith}, this is ${Deno.version.deno}`;

for (const [path, { what, make }] of Object.entries(generated)) {
  testUnless(reason, `${path} is up to date`, async () => {
    const built = await Deno.readTextFile(new URL(`../../${path}`, import.meta.url));
    assert.ok(built === await make(), `it is out of date: run deno task build ${what}`);
  });
}

if (!isShort) {
  testNeeding(
    { read: true, run: true, write: true },
    "mod.ts, web/mod.ts and the programs of pages use nothing newer than ES2022",
    () =>
      withCacheFolder("es2022", async (folder) => {
        const constants = ["GPUBufferUsage", "GPUShaderStage", "GPUMapMode"]; // TypeScript's types of browsers lack them
        const types = `${folder}/constants.d.ts`;
        await Deno.writeTextFile(
          types,
          constants.map((name) => `declare const ${name}: Record<string, number>;\n`).join(""),
        );
        const lib = ["es2022", "dom", "dom.iterable", "dom.asynciterable"];
        const config = `${folder}/es2022.json`;
        await Deno.writeTextFile(config, JSON.stringify({ compilerOptions: { lib, types: [types] } }));
        const entries = ["mod.ts", "web/mod.ts", "viz/report/page/main.ts", "playground/page/main.ts"];
        const { success, stderr } = await new Deno.Command(Deno.execPath(), {
          args: ["check", "--quiet", "--config", config, "--lock=tests/deno.lock", ...entries],
          cwd: new URL("../../", import.meta.url),
        }).output();
        assert.ok(success, new TextDecoder().decode(stderr));
      }),
  );
}

Deno.test("web/flow.js is small: for pages, and deflated in reports", async () => {
  const bytes = await Deno.readFile(new URL("../../web/flow.js", import.meta.url));
  assert.ok(bytes.length <= 475_000, `${bytes.length} bytes`);
  assert.ok(brotliCompressSync(bytes).length <= 190_000, "by Brotli, as hosts send it");
  assert.ok(deflateRawSync(bytes).length * 4 / 3 <= 282_000, "in base64, as reports hold it");
});

testUnless(reason, "bundle() uses the Deno version that denow installs", async () => {
  const denow = await Deno.readTextFile(new URL("../../denow", import.meta.url));
  assert.ok(denow.includes(`pinned=${builtWith}\n`));
});
