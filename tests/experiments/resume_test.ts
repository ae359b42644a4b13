import assert from "node:assert/strict";
import { cpSync } from "node:fs";
import { relative } from "node:path";
import { IDX_NAMES } from "../../experiments/data/idx.ts";
import { lockRun } from "../../experiments/run/run_folder.ts";
import { bareRun, type Ended, testTask, tinyRun, type Workplace } from "./cli.ts";
import { writeTinyIdx } from "./data/tiny_idx.ts";
import { assertRefused } from "./refusals.ts";

/** A run long enough to be interrupted, even on a busy machine. */
const longRun = bareRun.replace("--epochs 3", "--epochs 8");
const longRunSteps = 86;

/** Starts a run in `cut` and sends a signal early in its second epoch; tries again if the signal comes too late. */
async function interrupt(place: Workplace, more: string, signal: Deno.Signal): Promise<Ended> {
  const flags = `${longRun} --checkpoint-minutes 0 ${more} --out cut`;
  const end = await place.stopAt(12, { task: "train:base", flags, run: "cut", signal });
  const step = await place.stepOf("cut");
  assert.ok(step >= 12, `the run was at step ${step} when it ended: ${end.stderr}`);
  if (step < longRunSteps) return end;
  await Deno.remove(place.file("cut"), { recursive: true });
  return interrupt(place, more, signal);
}

/** Trains in `whole`, and copies the folder at a step to `cut`: what a program that is killed there leaves. */
async function trainAndCopyAt(place: Workplace, step: number, flags: string): Promise<void> {
  let running = true;
  const whole = place.succeed("train:base", `${flags} --checkpoint-minutes 0 --out whole`)
    .finally(() => running = false);
  while (running && await place.stepOf("whole") < step) await new Promise((resolve) => setTimeout(resolve));
  cpSync(place.file("whole"), place.file("cut"), { recursive: true });
  await whole;
}

/** Asserts that two finished runs have the same files, bit for bit, apart from times. */
async function assertSameRun(place: Workplace, actual: string, expected: string): Promise<void> {
  assert.deepEqual(await place.metrics(actual), await place.metrics(expected));
  assert.deepEqual(await place.state(actual), await place.state(expected));
  const folder = place.file(expected);
  const paths = [...(await place.listing(folder)).keys()].map((path) => relative(folder, path));
  for (const path of paths.filter((path) => /\.(png|gif)$|(last|best|ema|sample_\d)\./.test(path))) {
    assert.equal(await place.digest(actual, path), await place.digest(expected, path), path);
  }
}

const kinds = {
  "adamw, one_cycle and averaged weights": "--optimizer adamw --schedule one_cycle --ema 0.9",
  "muon and pairs by transport": "--optimizer muon --muon-lr 0.01 --schedule cosine --coupling ot",
  "sgd and a plateau schedule": "--optimizer sgd --schedule plateau --plateau-patience 0 " +
    "--plateau-factor 0.1 --lr 2 --warm-up 0 --ema 0 --val-fraction 0.3",
};
for (const [kind, flags] of Object.entries(kinds)) {
  testTask(`train --resume ends a killed run like an uninterrupted one: ${kind}`, async (place) => {
    await trainAndCopyAt(place, 12, `${bareRun} ${flags}`);
    await place.succeed("train:base", "--resume cut");
    await assertSameRun(place, "cut", "whole");
    const rates = (await place.metrics("cut")).flatMap((line) => line.learning_rate ?? []);
    assert.ok(new Set(rates).size > 1, `the schedule had nothing to do: ${rates}`);
  });
}

testTask(
  "train saves at Ctrl-C, says how to continue, and ends then like an uninterrupted run",
  async (place) => {
    const flags = "--coupling ot"; // its worker must end with the run
    const { code, stderr } = await interrupt(place, flags, "SIGINT");
    assert.equal(code, 130, stderr);
    assert.match(stderr, /\nSIGINT: saving and stopping; press again to quit immediately\n/);
    assert.match(stderr, /\nstep \d+, .*images\/s\nStopped; continue with --resume cut\n$/);
    assert.ok(!(await place.names("cut")).includes("samples.png"));
    assert.ok(await place.stepOf("cut") >= 12, "its state is saved");
    const { stderr: resumed } = await place.succeed("train:base", "--resume cut");
    assert.match(resumed, /\nDone; open cut\/report.html\n$/);
    await place.succeed("train:base", `${longRun} ${flags} --out whole`);
    await assertSameRun(place, "cut", "whole");
  },
);

testTask("train continues when its output closes, and saves at other signals", async (place) => {
  for (const [signal, exitCode] of [["SIGHUP", 129], ["SIGTERM", 143]] as const) { // SIGHUP: its terminal closes
    const process = place.start("train:base", `${longRun} --checkpoint-minutes 0 --out ${signal}`);
    await process.stderr.cancel();
    while (await place.stepOf(signal) < 12) await new Promise((resolve) => setTimeout(resolve, 5));
    process.kill(signal);
    assert.equal((await process.status).code, exitCode);
    await process.stdout.cancel();
    assert.equal(JSON.parse(await Deno.readTextFile(place.file(signal, "run.json"))).status, "KILLED");
  }
});

/** Waits for text on the error stream of a process. */
function listener(process: Deno.ChildProcess) {
  const errors = process.stderr.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  const until = async (words: string) => {
    while (!text.includes(words)) {
      const { done, value } = await errors.read();
      assert.ok(!done, `ended before it said "${words}": ${text}`);
      text += value;
    }
  };
  return { until, errors };
}

testTask("train stops at Ctrl-C during its final pictures", async (place) => {
  const flags = `${tinyRun} --flow-steps 400`
    .replace("euler:steps=2 ", "euler:steps=40 ").replace("--flow-steps 4 ", "");
  const process = place.start("train:base", `${flags} --out cut`);
  const { until, errors } = listener(process);
  await until("Measuring the test loss and drawing pictures\n");
  process.kill("SIGINT");
  await until("\nStopped; continue with --resume cut\n");
  assert.equal((await process.status).code, 130);
  await Promise.all([process.stdout.cancel(), errors.cancel()]);
  assert.equal(JSON.parse(await Deno.readTextFile(place.file("cut", "run.json"))).status, "KILLED");
  assert.ok(!(await place.names("cut")).includes("report.html"));
});

testTask("train quits at the second Ctrl-C", async (place) => {
  // One step is an epoch, and the validation after it takes seconds. The first line of metrics is written right before,
  // because there are no early weights without guidance.
  await writeTinyIdx(place.file("data"), { train: 6000, test: 1 });
  const flags = `${tinyRun} --guidance 1 --val-fraction 0.99 --train-limit 8 --val-batches 0 --out run`
    .replace("--sample-epochs 0", "--sample-epochs 1");
  const process = place.start("train:residual", flags);
  const { until, errors } = listener(process);
  await until("run folder run\n");
  while ((await place.metrics("run")).length === 0) await new Promise((resolve) => setTimeout(resolve, 5));
  process.kill("SIGINT");
  await until("press again to quit immediately\n");
  process.kill("SIGINT");
  assert.equal((await process.status).code, 130);
  await Promise.all([process.stdout.cancel(), errors.cancel()]);
  assert.deepEqual(await place.names("run"), [
    "config.json",
    "environment.json",
    "metrics.jsonl",
    "run.json",
    "samples",
  ]);
});

testTask("train --resume of a finished run says so, and continues with more epochs", async (place) => {
  await place.succeed("train:base", `${bareRun} --schedule constant --out run`);
  const before = await place.listing();
  const { code, stderr } = await place.run("train:base", "--resume run");
  assert.equal(code, 1);
  assert.match(
    stderr,
    /^TrainingError: Nothing left to do: the run is at step 33 of 33, after [\d.]+ minutes; use a larger --epochs, --max-steps or --max-minutes\n$/,
  );
  assert.deepEqual(await place.listing(), before);

  const lines = await place.metrics("run");
  await place.succeed("train:base", "--resume run --epochs 4");
  const longer = await place.metrics("run");
  assert.deepEqual(longer.slice(0, lines.length), lines);
  assert.deepEqual(longer.slice(lines.length).map(({ step }) => step), [36, 39, 42, 43, 43, 43]);
  assert.equal(JSON.parse(await Deno.readTextFile(place.file("run", "config.json"))).epochs, 4);
  assert.equal(
    (await place.names("run")).filter((name) => name.startsWith("environment-resumed-")).length,
    1,
  );
});

testTask("train --resume finishes a run that was killed during its final pictures", async (place) => {
  await place.succeed("train:base", `${tinyRun} --out whole`);
  await Deno.mkdir(place.file("cut"));
  for (const name of await place.names("whole")) {
    if (!/\.(png|gif)$|^flow$/.test(name)) {
      await Deno.copyFile(place.file("whole", name), place.file("cut", name));
    }
  }
  const metrics = (await Deno.readTextFile(place.file("whole", "metrics.jsonl"))).split("\n");
  assert.match(metrics.at(-2)!, /test_loss/);
  await Deno.writeTextFile(
    place.file("cut", "metrics.jsonl"),
    metrics.slice(0, -2).join("\n") + '\n{"step":33,"test',
  );
  const { stderr } = await place.succeed("train:base", "--resume cut");
  assert.match(stderr, /\nstep 33, [^\n]*test loss [\d.]+\n/, "no rate, since it does not train");
  await assertSameRun(place, "cut", "whole");
});

/** Changes the last byte of a file of the data set. */
async function damage(place: Workplace, file: string): Promise<void> {
  const path = place.file("data", file);
  const bytes = await Deno.readFile(path);
  bytes[bytes.length - 1] ^= 1;
  await Deno.writeFile(path, bytes);
}

testTask(
  "train --resume refuses other data, except labels that it does not use, and a run of another program",
  async (place) => {
    const { trainImages, trainLabels } = IDX_NAMES;
    const flags = `${bareRun} --max-steps 2 --schedule constant`;
    await place.succeed("train:base", `${flags} --out without`);
    await place.succeed("train:base", `${flags.replace("--no-", "--")} --out with`);
    for (const [what, file, run] of [["labels", trainLabels, "with"], ["images", trainImages, "without"]]) {
      await damage(place, file);
      await assertRefused(place, {
        flags: `--resume ${run} --max-steps 4`,
        says: [`RunError: Cannot resume ${run}: it was trained on other ${what} (digest `],
      });
      if (what === "labels") await place.succeed("train:base", "--resume without --max-steps 4");
    }
    using _ = await lockRun(place.file("without"));
    await assertRefused(place, { // before reading the data
      flags: "--resume without",
      says: [
        "RunError: Cannot write without: another program is training or sending this run; wait until it ends\n",
      ],
    });
  },
);
