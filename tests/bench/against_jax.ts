/**
 * `deno run tests/bench/against_jax.ts [--json] [--repetitions N]`: this library and jax-js in alternation, on WebGPU,
 * with the work of `three_convs.ts`.
 */
import { commonFlags, count, flagValues, openDevice } from "./flags.ts";
import { jaxName, jaxThreeConvolutions } from "./jax_three_convs.ts";
import { Reporter } from "./report.ts";
import { ourThreeConvolutions } from "./three_convs.ts";
import { timeInTurn } from "./timing.ts";

const values = flagValues({ json: commonFlags.json, repetitions: commonFlags.repetitions });
const repetitions = count("repetitions", values.repetitions);
const device = await openDevice("webgpu");
const reporter = new Reporter(device.description, values.json);
const { problem, ours } = await ourThreeConvolutions(device);
const theirs = await jaxThreeConvolutions(problem);

// The comparison is fair only if both do the same work; then their losses agree.
for (let step = 1; step <= 5; step++) {
  await ours.train.run(1);
  await theirs.train.run(1);
  const [our, their] = [await ours.loss(), await theirs.loss()];
  if (!(Math.abs(our - their) <= 1e-3 * their)) {
    throw new Error(`The losses of step ${step} differ: ours is ${our}, that of ${jaxName} ${their}`);
  }
}

const measurements = [];
for (const work of ["train", "forward"] as const) {
  measurements.push(await timeInTurn([ours[work], theirs[work]], repetitions));
}
reporter.against(jaxName, measurements.map(([our]) => our), measurements.map(([, their]) => their));
reporter.end();
device.close();
