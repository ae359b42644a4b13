/** Runs that are stopped, killed and resumed: they end like uninterrupted ones. */

import assert from "node:assert/strict";
import { cpSync } from "node:fs";
import { relative } from "node:path";
import { readMetrics } from "../../experiments/run/metrics_log.ts";
import { decodeSafetensors, encodeSafetensors } from "../../models/mod.ts";
import { bareRun, testTask, tinyRun, tinyRunWithPaths, until, type Workplace } from "./cli.ts";
import { assertRefused } from "./refusals.ts";

/** Trains in `whole`, and copies the folder at a step to `cut`: what a program that is killed there leaves. */
async function trainAndCopyAt(place: Workplace, step: number, flags: string): Promise<void> {
  let running = true;
  const whole = place.succeed("train:base", `${flags} --checkpoint-minutes 0 --out whole`)
    .finally(() => running = false);
  await until(async () => !running || await place.stepOf("whole") >= step);
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
  "sgd and a plateau schedule": "--optimizer sgd --schedule plateau --plateau-patience 0 " +
    "--plateau-factor 0.1 --lr 2 --warm-up 0 --ema 0 --val-fraction 0.3",
};
for (const [kind, flags] of Object.entries(kinds)) {
  testTask(`train --resume ends a killed run like an uninterrupted one: ${kind}`, async (place) => {
    await trainAndCopyAt(place, 12, `${bareRun} ${flags}`);
    await place.succeed("train:base", "--resume cut");
    await assertSameRun(place, "cut", "whole");
    const lines = await place.metrics("cut");
    const rates = new Set(lines.flatMap((line) => line.learning_rate ?? []));
    assert.ok(rates.size > 1, `the schedule had nothing to do: ${[...rates]}`);
    if (!flags.includes("plateau")) return;

    // A finished run says so, and continues with more epochs; the time of all its sessions counts.
    const path = place.file("cut", "state.safetensors");
    const { tensors, metadata } = decodeSafetensors(await Deno.readFile(path), path);
    const progress = JSON.stringify({ ...JSON.parse(metadata.progress), elapsedSeconds: 1000 });
    await Deno.writeFile(path, encodeSafetensors(tensors, { ...metadata, progress }));
    const { step } = lines.at(-1)!;
    const says =
      `TrainingError: Nothing left to do: the run is at step ${step} of ${step}, after 16.7 minutes; use `;
    await assertRefused(place, { flags: "--resume cut", says: [says] });
    await place.succeed("train:base", "--resume cut --epochs 4");
    assert.deepEqual((await place.metrics("cut")).slice(0, lines.length), lines);
    const added = (await readMetrics(path.replace("state.safetensors", "metrics.jsonl"))).slice(lines.length);
    assert.ok(added.at(-1)!.step > step && "test_loss" in added.at(-1)!, JSON.stringify(added));
    const seconds = added.map(({ elapsed_seconds = 1000 }) => Number(elapsed_seconds));
    assert.ok(seconds.every((s) => s >= 1000 && s < 1100), `${seconds}`);
  });
}

testTask("train saves at Ctrl-C and other signals, says how to continue, and continues", async (place) => {
  const long = "--max-steps 100000 --schedule constant --warm-up 0 --checkpoint-minutes 0";
  const flags = bareRun.replace("--epochs 3", long);
  // SIGHUP: its terminal closes; then its output is closed, too.
  const signals = { SIGINT: 130, SIGHUP: 129, SIGTERM: 143 } as const;
  for (const [signal, exitCode] of Object.entries(signals) as [keyof typeof signals, number][]) {
    const coupling = signal === "SIGINT" ? "--coupling ot" : ""; // its worker must end with the run
    const process = place.start("train:base", `${flags} ${coupling} --out ${signal}`);
    const said = signal === "SIGINT"
      ? new Response(process.stderr).text()
      : process.stderr.cancel().then(() => "");
    await until(async () => await place.stepOf(signal) >= 12);
    process.kill(signal);
    assert.equal((await process.status).code, exitCode);
    await process.stdout.cancel();
    assert.equal((await place.json(signal, "run.json")).status, "KILLED");
    if (signal !== "SIGINT") continue;
    const stopping = "\nSIGINT: saving and stopping; press again to quit immediately\n";
    const end = /\nstep \d+, validation loss [\d.]+\nStopped; continue with --resume SIGINT\n$/;
    assert.ok((await said)!.includes(stopping) && end.test((await said)!), await said);
    assert.ok(!await place.exists(signal, "report.html"));
    const step = await place.stepOf(signal);
    const { stderr } = await place.succeed("train:base", `--resume ${signal} --max-steps ${step + 2}`);
    assert.match(stderr, /\nDone; open SIGINT\/report.html\n$/);
  }
});

/** Waits for text in a stream. */
function listener(stream: ReadableStream<Uint8Array<ArrayBuffer>>) {
  const reader = stream.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  const says = async (words: string) => {
    while (!text.includes(words)) {
      const { done, value } = await reader.read();
      assert.ok(!done, `ended before it said "${words}": ${text}`);
      text += value;
    }
  };
  return { says, reader };
}

testTask("train stops at Ctrl-C during its final pictures", async (place) => {
  const flags = tinyRun.replace("euler:steps=2 ", "euler:steps=400 ").replace("--epochs 3", "--max-steps 2");
  const process = place.start("train:base", `${flags} --out cut`);
  const { says, reader } = listener(process.stderr);
  await says("Measuring the test loss and drawing pictures\n");
  process.kill("SIGINT");
  await says("\nStopped; continue with --resume cut\n");
  assert.equal((await process.status).code, 130);
  await Promise.all([process.stdout.cancel(), reader.cancel()]);
  assert.equal((await place.json("cut/run.json")).status, "KILLED");
  assert.ok(!await place.exists("cut/report.html"));
});

testTask("train --resume keeps the pictures of a run that was cut off while it drew them", async (place) => {
  await place.succeed("train:base", `${tinyRunWithPaths} --schedule constant --warm-up 0 --out cut`);
  const drawn = ["samples.png", "few_steps.png", "flow_linear.gif", "flow/sample_1.safetensors"];
  const timesOf = async () => {
    const files = await place.listing(place.file("cut"));
    return drawn.map((name) => files.get(place.file("cut", name)));
  };
  const before = await timesOf();
  assert.ok(before.every((time) => time !== undefined), `${before}`);
  for (const name of ["report.html", "flow/paths.safetensors"]) await Deno.remove(place.file("cut", name));
  await place.write("cut/run.json", { ...await place.json("cut/run.json"), status: "KILLED" });
  await place.succeed("train:base", "--resume cut");
  assert.deepEqual(await timesOf(), before);
  assert.ok(await place.exists("cut/flow/paths.safetensors"));
  assert.ok(await place.exists("cut/report.html"));

  // After more training they are drawn again.
  await place.succeed("train:base", "--resume cut --epochs 4");
  const after = await timesOf();
  assert.ok(after.every((time, i) => time !== before[i]), `${after}`);
});

testTask("a task quits at the second Ctrl-C", async () => {
  const module = new URL("../../experiments/cli/task.ts", import.meta.url);
  const program = `import { stopSignal } from "${module}";
    const stop = stopSignal((signal) => console.log(signal, stop.signal.aborted, stop.exitCode));
    setInterval(() => {}, 1000);
    console.log("ready");`;
  const process = new Deno.Command(Deno.execPath(), { args: ["eval", program], stdout: "piped" }).spawn();
  const { says, reader } = listener(process.stdout);
  await says("ready");
  process.kill("SIGINT");
  await says("SIGINT true 130");
  process.kill("SIGINT");
  const late = setTimeout(() => process.kill("SIGKILL"), 60_000);
  assert.equal((await process.status).code, 130);
  clearTimeout(late);
  await reader.cancel();
});

testTask(
  "a run whose data has moved is resumed and evaluated at its new place, and on no other images",
  async (place) => {
    await place.succeed("train:base", `${bareRun.replace("--epochs 3", "--max-steps 6")} --out run`);
    await Deno.rename(place.file("data"), place.file("moved"));
    cpSync(place.file("moved"), place.file("other"), { recursive: true });
    const images = place.file("other", "train-images-idx3-ubyte");
    const bytes = await Deno.readFile(images);
    bytes[bytes.length - 1] ^= 1;
    await Deno.writeFile(images, bytes);

    const gone = "its data data is no longer there; name its new place with --data";
    const digests =
      /it was trained on other images than other holds \(digest [0-9a-f]{12}\.\.\., now [0-9a-f]{12}\.\.\.; /;
    const evaluate = "run --judge none --count 4 --course-images 0 --bits-images 0";
    const commands = {
      evaluate: ["evaluate", evaluate],
      resume: ["train", "--resume run --max-steps 8 --lr 1e-4"],
    } as const;
    for (const [doing, [task, how]] of Object.entries(commands)) {
      const refused = async (flags: string) => (await place.run(task, `${how} ${flags}`)).stderr;
      assert.ok((await refused("")).includes(`Cannot ${doing} run: ${gone}`), await refused(""));
      assert.match(await refused("--data other"), digests);
      await place.succeed(task, `${how} --data moved`);
    }
    assert.equal((await place.json("run/config.json")).data, "moved");
    await place.succeed("evaluate", evaluate);
  },
);
