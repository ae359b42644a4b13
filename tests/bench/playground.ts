/**
 * Prints how fast the playground learns on one thread. In the plane: after numbers of steps, how far the network's
 * velocity is from the exact mean. With digits: after seconds of processor time, which include drawing and measuring as
 * in the page, the loss on held-out images and the share of 200 samples that the judge recognises.
 *
 * `deno run --lock=tests/deno.lock --allow-read tests/bench/playground.ts plane`, or `checkpoint`, `blank28`, `blank14`
 */
import process from "node:process";
import { playgroundDigits } from "../../experiments/serve.ts";
import type { DigitsParts } from "../../playground/digits_parts.ts";
import {
  classCount,
  DigitsTraining,
  drawSteps,
  enlarged,
  guidance,
} from "../../playground/digits_training.ts";
import { ExactField } from "../../playground/exact_field.ts";
import { openDevice, PlaneTraining } from "../../playground/plane_training.ts";
import { PlaneViews } from "../../playground/plane_views.ts";
import { defaults, settingsOf } from "../../playground/settings.ts";
import * as flow from "../../web/mod.ts";

/** Prints the velocity error of moons, root mean square at 200 places on lines from noise to data. */
async function measurePlane(): Promise<void> {
  const training = new PlaneTraining(flow, defaults);
  const exact = new ExactField(training.points, "linear");
  const views = new PlaneViews(flow, training);
  const x0 = flow.normals(7, 3, 0, 400);
  let milliseconds = 0;
  for (const steps of [250, 500, 1000, 2000, 4000]) {
    const started = performance.now();
    while (training.step < steps) await training.train(1000, steps - training.step);
    milliseconds += performance.now() - started;
    let error = 0;
    for (let n = 0; n < 200; n++) {
      const t = [0.1, 0.3, 0.5, 0.7, 0.9][n % 5];
      const place = exact.between([x0[2 * n], x0[2 * n + 1]], exact.point(37 * n % exact.size), t);
      const [x, y] = await views.look(place, t);
      const { mean } = exact.meeting(place, t);
      error += ((x - mean[0]) ** 2 + (y - mean[1]) ** 2) / 200;
    }
    console.log(
      `step ${steps}: ${Math.round(milliseconds)} ms, velocity error ${Math.sqrt(error).toFixed(3)}`,
    );
  }
}

/** Seconds that digits train, by their starting point. */
const seconds: Readonly<Record<string, readonly number[]>> = {
  checkpoint: [15, 30, 60],
  blank28: [60, 180],
  blank14: [30, 60, 120, 180],
};

const processorSeconds = () => {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e6;
};

/** Prints the progress of digits. */
async function measureDigits(start: string): Promise<void> {
  const parts = await playgroundDigits();
  const training = new DigitsTraining(flow, parts, settingsOf(`#start=${start}`).settings);
  const report = async (spent: number) => {
    const [heldOut, share] = [await training.heldOut(), await recognised(training, parts)];
    const percent = (100 * share).toFixed(1);
    console.log(
      `${spent} s, step ${training.step}: loss on other images ${heldOut.toFixed(4)}, judge ${percent} %`,
    );
  };
  await report(0);
  let [spent, drawn, measured] = [0, 0, 0];
  for (const until of seconds[start]) {
    while (spent < until) {
      const from = processorSeconds();
      await training.train(0, 1);
      if (spent - drawn >= 1) {
        await training.draw(() => Promise.resolve());
        drawn = spent;
      }
      if (spent - measured >= 10) {
        await training.heldOut();
        measured = spent;
      }
      spent += processorSeconds() - from;
    }
    await report(until);
  }
}

/** The share of samples that the judge recognises as the requested digit, drawn as in the page. */
async function recognised(training: DigitsTraining, parts: DigitsParts): Promise<number> {
  const { shown: averaged, normalization, side } = training;
  const count = 200;
  const labels = Uint32Array.from({ length: count }, (_, i) => i % 10);
  const x1 = flow.sample(flow.guided(averaged, { scale: guidance, none: classCount }), {
    count,
    shape: [1, side, side],
    seed: 46020,
    steps: drawSteps,
    solver: "euler",
    condition: flow.tensor(labels),
  });
  const pixels = flow.toPixels(await x1.read(), normalization);
  const { probabilities } = await flow.loadJudge(parts.judge, "the judge").judge(enlarged(pixels, side));
  const right = labels.filter((label, n) => {
    const shares = probabilities.subarray(10 * n, 10 * (n + 1));
    return shares.indexOf(Math.max(...shares)) === label;
  });
  return right.length / count;
}

const [what = "plane"] = Deno.args;
console.log((await openDevice(flow, 1)).description);
if (what === "plane") await measurePlane();
else await measureDigits(what);
