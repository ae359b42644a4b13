import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { PNG } from "npm:pngjs@7.0.0";
import { readTrajectories } from "../../experiments/draw/trajectories.ts";
import { decodeSafetensors } from "../../models/mod.ts";
import { readGif } from "../viz/image/gif_reading.ts";
import {
  bareRun,
  missingAdapter,
  oneThread,
  testTask,
  tinyNetwork,
  tinyRunWithPaths,
  type Workplace,
} from "./cli.ts";
import { imageSize, writeTinyIdx } from "./data/tiny_idx.ts";

// @ts-types="npm:@types/pngjs@6.0.5"

/** All values of a metric. */
function values(metrics: readonly Readonly<Record<string, unknown>>[], name: string): number[] {
  return metrics.flatMap((line) => name in line ? [line[name] as number] : []);
}

testTask("train writes weights, metrics, pictures and its environment", async (place) => {
  const flags = tinyRunWithPaths
    .replace("--epochs 3", "--epochs 2")
    .replace("--val-epochs 1 --sample-epochs 0", "--val-epochs 0.5 --sample-epochs 0.75");
  const { stderr } = await place.runProgram("train:residual", `${flags} --out run`);
  assert.match(stderr, /^residual U-Net \[8,16\], [\d,]+ parameters, .*\nrun folder run\n/);
  assert.match(
    stderr,
    /\nstep 22, validation loss [\d.]+, test loss [\d.]+, .*\nDone; open run\/report.html\n$/,
  );
  assert.equal(
    (await place.names("run")).join(" "),
    "best.safetensors config.json early.safetensors ema.safetensors environment.json examples.safetensors " +
      "few_steps.png flow flow_linear.gif last.safetensors loss_by_time.json metrics.jsonl report.html run.json samples samples.png " +
      "state.safetensors",
  );

  const metrics = await place.metrics("run");
  // 86 images in batches of 8: half an epoch is 5.375 steps
  assert.equal(values(metrics, "step").join(), "0,3,6,6,9,9,11,12,15,17,17,18,21,22,22,22");
  assert.deepEqual(metrics.filter((line) => "val_loss" in line).map(({ step, epoch }) => [step, epoch]), [
    [6, 0],
    [11, 1],
    [17, 1],
    [22, 2],
  ]);
  const grids = ["step_000000.png", "step_000009.png", "step_000017.png"];
  assert.deepEqual(await place.names("run/samples"), grids);
  const [losses, rates] = [values(metrics, "train_loss"), values(metrics, "learning_rate")];
  assert.equal(losses.length, 8);
  assert.ok(losses.at(-1)! < 0.8 * losses[0], `${losses}`);
  assert.equal(rates.length, losses.length);
  assert.equal(new Set(rates).size, rates.length, `one_cycle changes the rate at every step: ${rates}`);
  const held = [...values(metrics, "val_loss"), ...values(metrics, "test_loss")];
  assert.equal(held.length, 5);
  assert.ok(held.every((loss) => loss > 0 && loss < losses[0]), `${held}`);

  const config = JSON.parse(await Deno.readTextFile(place.file("run", "config.json")));
  assert.equal([config.model, config.filters, config.epochs, config.resume].join(), "residual,8,16,2,");
  const environment = JSON.parse(await Deno.readTextFile(place.file("run", "environment.json")));
  assert.equal(environment.adapter.kind, "cpu");
  assert.equal(environment.denoVersion, Deno.version.deno);
  assert.match(environment.gitCommit ?? "0".repeat(40), /^[0-9a-f]{40}$/); // null outside a repository
  assert.ok(environment.argv.includes("--epochs"));

  const cell = 3 * imageSize + 2;
  const png = PNG.sync.read(Buffer.from(await place.read("run", "samples.png")));
  assert.deepEqual([png.width, png.height], [3 * cell - 2, 2 * cell - 2]); // 5 samples in 2 rows of 3
  const gif = readGif(await place.read("run", "flow_linear.gif"));
  assert.equal(gif.frames.length, 3);
  assert.equal(gif.width, 2 * (14 * imageSize + 6) - 6);

  const stored = await readTrajectories(place.file("run"));
  assert.deepEqual(
    stored.map(({ k, modelType, solver, steps, seed, trajectory: { shape } }) => {
      return [k, modelType, solver, steps, seed, ...shape];
    }),
    [1, 2].map((k) => [k, "UNet_FM_Residuals", "euler", 4, 46020, 5, imageSize, imageSize]),
  );

  await assertFinite(place, "run");
  assert.notDeepEqual(
    await place.read("run", "ema.safetensors"),
    await place.read("run", "last.safetensors"),
  );
});

testTask("train skips averaged weights and pictures that are turned off", async (place) => {
  const flags =
    `${tinyNetwork} --max-minutes 0 --max-steps 2 --ema 0 --samples 0 --flow-samples 0 --path-samples 0 --out run`;
  await place.succeed("train:base", flags);
  assert.equal(
    (await place.names("run")).join(" "),
    "best.safetensors config.json environment.json last.safetensors loss_by_time.json metrics.jsonl report.html " +
      "run.json state.safetensors",
  );
});

const noAdapter = await missingAdapter();
testTask("train runs on WebGPU as on the CPU", async (place) => {
  const flags = bareRun.replace("--epochs 3", "--epochs 1");
  await place.succeed("train:residual", `${flags} --out cpu`);
  await place.succeed("train:residual", `${flags.replace(oneThread, "--device webgpu")} --out webgpu`);
  const environment = JSON.parse(await Deno.readTextFile(place.file("webgpu", "environment.json")));
  assert.equal(environment.adapter.kind, "webgpu");
  assert.deepEqual(await place.names("webgpu"), [...await place.names("cpu"), "kernels.json"].sort());
  const [cpu, webgpu] = [await place.metrics("cpu"), await place.metrics("webgpu")];
  assert.deepEqual(webgpu.map(({ step }) => step), cpu.map(({ step }) => step));
  for (const name of ["train_loss", "val_loss", "test_loss"]) {
    values(cpu, name).forEach((loss, i) => {
      const other = values(webgpu, name)[i];
      assert.ok(Math.abs(other - loss) < 0.01 * loss, `${name} ${other} on WebGPU, ${loss} on the CPU`);
    });
  }
}, noAdapter);

async function assertFinite(place: Workplace, run: string): Promise<void> {
  for (const name of (await place.names(run)).filter((name) => name.endsWith(".safetensors"))) {
    const { tensors } = decodeSafetensors(await place.read(run, name), name);
    assert.ok(tensors.values().every(({ data }) => data.every(Number.isFinite)), name);
  }
}

testTask(
  "train stops when its loss or its weights become NaN, and saves only finite weights",
  async (place) => {
    const flags = `${bareRun} --clip 0 --optimizer sgd --schedule constant --ema 0`;
    const nan = (step: number) => `The loss is NaN at step ${step} \\(epoch 1, images (\\d+, ){7}\\d+\\): `;
    const cases = {
      "--lr 1e30 --warm-up 0": `${nan(2)}no checkpoint has been saved; `,
      "--lr 1e30 --warm-up 0.5 --checkpoint-minutes 0": `${
        nan(3)
      }the last good checkpoint is 1/last.safetensors, step [12]; `,
      // The loss is still finite.
      "--lr 1e39 --warm-up 0 --max-steps 1":
        "The weights are NaN or infinite after step 1: no checkpoint has been saved; ",
    };
    for (const [i, [rate, says]] of Object.entries(cases).entries()) {
      const { code, stderr } = await place.run("train:base", `${flags} ${rate} --out ${i}`);
      assert.equal(code, 1);
      assert.match(stderr, new RegExp(`\nTrainingError: ${says}try a smaller --lr or --clip 1\\n$`));
      assert.doesNotMatch(stderr, /^ {4}at /m);
      await assertFinite(place, `${i}`);
    }
    assert.deepEqual(await place.names("0"), ["config.json", "environment.json", "run.json"]);
  },
);

/** The final training loss of a run: averaged over its last steps, and the same wherever it is shown. */

/** Losses in a line of a table, by its first word. */
function row(table: string, name: string): string[] {
  return table.split("\n").find((line) => line.trim().split(/ +/)[0] === name)!.trim().split(/ +/).slice(1);
}

testTask("train, report and runs show the same training loss, of the last steps", async (place) => {
  const flags = bareRun.replace("--log-every 3", "--log-every 20")
    .replace("--flow-samples 0", "--flow-samples 1 --flow-steps 2 --flow-frames 2");
  await place.succeed("train:base", `${flags} --normalize 0..1 --out runs/a`);
  const metrics = await place.metrics("runs/a");
  const lines = metrics.filter((line) => "train_loss" in line);
  assert.deepEqual(lines.map(({ step }) => step), [20, 33]);
  assert.ok(lines.every(({ gradient_norm: norm }) => Number(norm) > 0), JSON.stringify(lines));
  const [first, last] = lines.map((line) => Number(line.train_loss));
  assert.ok(last < first);

  const report = await Deno.readTextFile(place.file("runs/a/report.html"));
  assert.ok(report.includes(`Training loss at the end</th><td>${last.toFixed(4)}</td>`));
  const shown = String(Number(last.toPrecision(4)));
  const { stdout: list } = await place.succeed("runs", "--root runs");
  assert.ok(row(list, "a").includes(shown), list);
  assert.doesNotMatch(list, /not comparable/);

  await writeTinyIdx(place.file("others"), { train: 97 });
  const onOthers = flags.replace("--data data", "--data others");
  await place.succeed("train:base", `${onOthers} --normalize -1..1 --out runs/b`);
  const warning =
    "Losses of these runs are not comparable (different data sets: data, others; --normalize is 0..1 or -1..1)";
  const { stdout: both } = await place.succeed("runs", "--root runs");
  assert.ok(both.endsWith(`\n${warning}\n`), both);
  const { stdout: compared } = await place.succeed("runs", "runs/a runs/b");
  assert.equal(row(compared, "train_loss")[0], shown);
  assert.ok(compared.includes(warning), compared);
  await place.succeed("report", "runs/a runs/b --device cpu --no-live --out both.html");
  assert.ok((await Deno.readTextFile(place.file("both.html"))).includes(warning));
});
