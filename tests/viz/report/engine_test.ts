/** The engine of a report's page, in this process: what pages in a browser do not show exactly. */

import assert from "node:assert/strict";
import { asBytes, loadJudge, precisionRecall, type Snapshot } from "../../../models/mod.ts";
import { Engine, type Job } from "../../../viz/report/page/engine.ts";
import type { Steps } from "../../../viz/report/page/trajectory_view.ts";
import * as web from "../../../web/mod.ts";
import { tinyJudge } from "../../models/tiny_files.ts";
import { assertClose } from "../../testing.ts";
import { Network, type Solving } from "./live_data.ts";
import { size } from "./made_up.ts";

const { H, W } = size;
const P = H * W;
const [network, plain, early] = [await Network.of(3, 1, 3), await Network.of(4), await Network.of(5)];
const engine = new Engine(web);
assert.equal(await engine.load(0, { checkpoint: network.checkpoint }), 3);
const unguided = { checkpoint: early.checkpoint, guidance: 2 };
assert.equal(await engine.load(1, { checkpoint: plain.checkpoint, early: unguided }), 0);

/** Solves a run from x at the step `first`; `turn` is called after each snapshot. */
async function solve(run: number, x: Float32Array, how: Steps, first = 0, turn = () => Promise.resolve()) {
  const [t, image]: number[][] = [[], []];
  const job: Job<Snapshot> = (snapshot) => {
    if (snapshot) {
      t.push(snapshot.t);
      image.push(...snapshot.image);
    }
    return turn();
  };
  const labels = how.label === undefined ? undefined : [how.label];
  const { evaluations } = await engine.solve(run, x, how, first, labels, job);
  return { evaluations, t, image };
}

Deno.test("Engine.solve() records again for other times and scales of autoguidance", async () => {
  const known: readonly [run: number, network: Network, how: Solving][] = [
    [0, network, { solver: "euler", steps: 3, times: [0, 0.1, 0.4, 1] }],
    [0, network, { solver: "euler", steps: 3 }],
    [1, plain, { solver: "euler", steps: 4, guidance: 3, early }],
    [1, plain, { solver: "euler", steps: 4, guidance: 0.5, early }],
  ];
  for (const [run, own, { early, ...steps }] of known) {
    const expected = await own.flow(9, { ...steps, ...early && { early } });
    const found = await solve(run, await engine.noise(run, [9], 0), steps);
    assert.equal(found.evaluations, steps.steps);
    assertClose(found.t, expected.t, 1e-6);
    assertClose(found.image, expected.image, 1e-5);
  }
});

Deno.test("Engine.solve() keeps two concurrent draws apart, and continues adaptive steps", async () => {
  const [x5, x6] = [await engine.noise(0, [5], 0), await engine.noise(0, [6], 0)];
  for (const how of [{ solver: "euler", steps: 8 }, { solver: "dopri5", steps: 4, tolerance: 1e-3 }]) {
    const [behind, front] = [{ ...how, label: 1, guidance: 2 }, { ...how, label: 2, guidance: 4 }];
    const alone = [await solve(0, x5, behind), await solve(0, x6, front)];
    let drawn: typeof alone[number] | undefined;
    const interrupted = await solve(0, x5, behind, 0, async () => void (drawn ??= await solve(0, x6, front)));
    for (const [i, { evaluations, image }] of [interrupted, drawn!].entries()) {
      assertClose(image, alone[i].image, 1e-6);
      assert.equal(evaluations, alone[i].evaluations);
    }
  }
  const how = { solver: "dopri5", steps: 4, tolerance: 1e-4, label: 1 };
  const whole = await solve(0, x5, how);
  const rest = await solve(0, Float32Array.from(whole.image.slice(2 * P, 3 * P)), how, 2);
  assertClose(rest.t, [0.5, 0.75, 1], 1e-6);
  assertClose(rest.image, whole.image.slice(2 * P), 1e-3);
});

Deno.test("Engine.judge() returns classes, precision and recall, and those of equally many test images", async () => {
  const weights = await tinyJudge({ classes: 3, channels: 1, height: H, width: W });
  const judge = loadJudge(weights, "the judge");
  const waves = (count: number, power: number) =>
    Float32Array.from({ length: count * P }, (_, i) => 0.5 + 0.5 * Math.sin(i ** power));
  const { features: reference } = await judge.judge(waves(20, 2));
  await engine.load(0, { checkpoint: network.checkpoint, judge: { weights, reference } });
  const [count, samples] = [8, waves(8, 1.5)];
  const found = await engine.judge(0, samples, count);
  const { probabilities, features } = await judge.judge(asBytes(samples));
  const each = Array.from({ length: count }, (_, n) => [...probabilities.subarray(3 * n, 3 * n + 3)]);
  assertClose(found.confidence, each.map((shares) => Math.max(...shares)), 1e-6);
  assert.deepEqual(found.classes, each.map((shares) => shares.indexOf(Math.max(...shares))));
  const { precision, recall } = await precisionRecall(reference, features);
  assert.deepEqual([found.precision, found.recall, found.references], [precision, recall, 20]);
  const { values, width } = reference;
  const sums = [0, 0];
  for (const from of [0, count]) {
    const isIn = (_: number, i: number) => Math.floor(Math.floor(i / width) / count) === from / count;
    const some = { values: values.filter(isIn), rows: count, width };
    const others = { values: values.filter((v, i) => !isIn(v, i)), rows: 20 - count, width };
    const one = await precisionRecall(others, some, { resamples: 1 });
    [one.precision, one.recall].forEach(({ value }, i) => sums[i] += value / 2);
  }
  assertClose([found.real!.precision, found.real!.recall], sums, 1e-9);
  assert.equal((await engine.judge(0, waves(11, 1.5), 11)).real, undefined, "too few for two sets");
  assert.ok((await engine.judge(0, waves(6, 1.5), 6)).real, "other numbers have their own sets");
});
