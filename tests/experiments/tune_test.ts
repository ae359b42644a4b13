import assert from "node:assert/strict";
import type { KernelChoice } from "../../kernels/mod.ts";
import { type Ended, missingAdapter, testTask, type Workplace } from "./cli.ts";

const noAdapter = await missingAdapter();

/** The smallest network. */
const smallest = "--model base --filters 2 --batch-size 1 --size 8";

/** Kernel choices for the smallest network, from JSON. */
async function choices(place: Workplace, flags: string): Promise<KernelChoice[]> {
  const { stdout } = await place.succeed(
    "tune",
    `${smallest} --json ${flags}`,
  );
  return JSON.parse(stdout).choices;
}

const measured = (choices: readonly KernelChoice[]) => choices.filter(({ by }) => by === "measurement");

testTask(
  "tune measures new calls, prints the candidates, and stores the winners",
  async (place) => {
    const first = await choices(place, "--seconds 3600");
    assert.ok(first.length > 5);
    assert.deepEqual(measured(first).length, first.length);
    for (const { candidates, chosen, milliseconds } of first) {
      assert.ok(candidates.includes(chosen));
      assert.ok(Object.values(milliseconds).every((ms) => ms >= 0) && chosen in milliseconds);
    }
    const second = await choices(place, "--seconds 3600");
    assert.deepEqual(second.map(({ by }) => by), second.map(() => "store"));
    assert.deepEqual(second.map(({ chosen }) => chosen), first.map(({ chosen }) => chosen));
    const again = await choices(place, "--seconds 0.001 --remeasure");
    assert.deepEqual(again.map(({ by }) => by), again.map(() => "table")); // until time is up
    const short = await place.succeed("tune", `${smallest} --seconds 0.001 --remeasure`);
    assert.match(
      short.stderr,
      /\nNot measured, .*: 5 sumChunks, .*, 2 conv2d, .*; without --remeasure, the command continues from here\n$/,
    );
    const { stdout, stderr } = await place.succeed(
      "tune",
      smallest,
    );
    assert.match(stderr, /^Tuning a training step of base U-Net \[2\], batch 1, 1x8x8 on .+\n/);
    assert.match(
      stdout,
      /^ +calls +kernel and sizes +chosen +ms +other candidates, ms\n( +\d+ +\w+ .*\n( {9}.*\n)*)+$/,
    );
  },
  noAdapter,
);

/** Starts a long tuning and sends Ctrl-C when it reports progress; retries if the signal comes too late. */
async function interrupted(place: Workplace): Promise<Ended> {
  const process = place.start(
    "tune",
    "--model base --filters 8,16 --batch-size 8 --seconds 3600 --remeasure",
  );
  const [heard, kept] = process.stderr.tee();
  const reader = heard.pipeThrough(new TextDecoderStream()).getReader();
  for (let said = ""; !said.includes("Tuning ");) { // a driver may print something first
    const { value, done } = await reader.read();
    if (done) break;
    said += value;
  }
  try {
    process.kill("SIGINT");
  } catch (error) {
    if (!(error instanceof TypeError)) throw error; // it has ended already
  }
  const [stdout, stderr] = await Promise.all(
    [process.stdout, kept].map((stream) => new Response(stream).text()),
  );
  await reader.cancel();
  const { code } = await process.status;
  return code === 0 ? interrupted(place) : { code, stdout, stderr };
}

testTask("tune stopped by Ctrl-C can continue, and exits with the signal's code", async (place) => {
  const { code, stdout, stderr } = await interrupted(place);
  assert.deepEqual([code, stdout], [130, ""], stderr);
  assert.match(stderr, /\nSIGINT: stopping; press again to quit immediately\n/);
  assert.match(stderr, /\nStopped; without --remeasure, the command continues from here\n$/);
}, noAdapter);

testTask("tune rejects a network that cannot be built", async (place) => {
  const { code, stderr } = await place.run("tune", "--filters 12 --batch-size 1");
  assert.equal(code, 1);
  assert.match(stderr, /^ConfigError: Cannot use --groups 8 with --filters 12/m);
}, noAdapter);
