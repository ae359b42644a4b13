/**
 * Prints how fast the playground learns on one thread, by steps: in the plane, how far the network's velocity is from the
 * exact mean, and dots from the data; with digits, the loss on other images, and how many of ten samples the judge
 * recognises.
 *
 * `deno run --lock=tests/deno.lock --allow-read tests/bench/playground.ts plane`, or `checkpoint`, `blank28`, `blank14`
 */
import { playgroundDigits } from "../../experiments/build_playground.ts";
import { DigitsTraining } from "../../playground/digits_training.ts";
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

/** Prints the progress of digits. */
async function measureDigits(address: string): Promise<void> {
  const training = new DigitsTraining(flow, await playgroundDigits(), settingsOf(address).settings);
  const most = training.side === 14 ? 6000 : 300;
  let milliseconds = 0;
  for (;;) {
    const { seen } = await training.draw(() => Promise.resolve());
    const right = seen.filter(([label], n) => label === n).length;
    const heldOut = (await training.heldOut()).toFixed(4);
    const each = training.step === 0 ? "" : `, ${(milliseconds / training.step).toFixed(1)} ms a step`;
    console.log(`step ${training.step}: loss on other images ${heldOut}, judge ${right} of 10${each}`);
    if (training.step >= most) return;
    const started = performance.now();
    for (let i = 0; i < most / 6; i++) await training.train();
    milliseconds += performance.now() - started;
  }
}

const [what = "plane"] = Deno.args;
console.log((await openDevice(flow, 1)).description);
if (what === "plane") await measurePlane();
else await measureDigits(`#start=${what}`);
