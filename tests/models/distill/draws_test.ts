/** What the losses of a distillation draw, and the drift loss against its formula in plain loops. */

import assert from "node:assert/strict";
import {
  add,
  gatherRows,
  multiply,
  randomNormal,
  reshape,
  type Tensor,
  tensor,
  zeros,
} from "../../../kernels/mod.ts";
import { batchSource, DriftLoss, type Model, ReflowLoss, streams } from "../../../models/mod.ts";
import { TaughtLoss } from "../../../models/distill/distillation.ts";
import { upTo } from "../../refusing.ts";
import { assertClose, testOnCpu, testOnDevices } from "../../testing.ts";

const sum = (values: readonly number[]) => values.reduce((a, b) => a + b, 0);
const mean = (values: readonly number[]) => sum(values) / values.length;

/** Moves each image by its label, in one step. */
const student = {
  velocity: (x: Tensor) => x,
  meanVelocity: (x: Tensor, _t: Tensor, _d: Tensor, label?: Tensor) =>
    add(multiply(x, 0.1), label ? reshape(gatherRows(tensor([0, 1, 2]), label), [x.shape[0], 1, 1, 1]) : 0),
} as unknown as Model;

const [P, n, D, others, push] = [64, 3, 4, 0.3, 0.2];
const temperatures = [0.02, 0.05, 0.2];

/** The mean square of the drift V, one list of generated images and their two kinds of real ones for each group. */
function driftOf(groups: readonly { x: number[][]; own: number[]; other: number[] }[]): number {
  const distance = (a: readonly number[], b: readonly number[]) => Math.hypot(...a.map((v, k) => v - b[k]));
  const all = groups.map((
    { x, own, other },
  ) => [...upTo(P).map(() => own), ...upTo(n).map(() => other), ...x]);
  const M = P + 2 * n;
  const distances = groups.map(({ x }, g) => x.map((row) => all[g].map((to) => distance(row, to))));
  const scale = sum(distances.flat(2)) / (groups.length * n * (M - 1)); // that to itself is 0
  const total = groups.map(({ x }) => x.map((row) => row.map(() => 0)));
  for (const tau of temperatures) {
    const moves = groups.map(({ x }, g) => {
      const weight = (i: number, m: number) =>
        m === P + n + i
          ? 0
          : Math.exp(-distances[g][i][m] / scale / tau) * (m >= P && m < P + n ? others : 1);
      const A = x.map((_, i) =>
        upTo(M).map((m) =>
          Math.sqrt(
            weight(i, m) / sum(upTo(M).map((k) => weight(i, k))) * weight(i, m) /
              sum(upTo(n).map((k) => weight(k, m))),
          )
        )
      );
      return x.map((_, i) => {
        const [toward, away] = [sum(A[i].slice(0, P)), sum(A[i].slice(P))];
        const weights = A[i].map((a, m) => m < P ? a * away : -(1 + push) * a * toward);
        return upTo(D).map((k) => sum(weights.map((w, m) => w * (all[g][m][k] - x[i][k]))));
      });
    });
    const size = Math.sqrt(mean(moves.flat(2).map((v) => v * v)));
    moves.forEach((rows, g) => rows.forEach((row, i) => row.forEach((v, k) => total[g][i][k] += v / size)));
  }
  return mean(total.flat(2).map((v) => v * v));
}

testOnDevices("DriftLoss() is the mean square of the drift that its source defines", async () => {
  const images = [[1, 0.5, 0, -1], [-0.5, 1, 0.5, 2]]; // one per class
  const labels = Uint32Array.of(0, 0, 1, 0, 1);
  const x1 = tensor(Array.from(labels, (label) => images[label]).flat(), [5, 1, 2, 2]);
  const host = {
    size: D,
    values: () => new Float32Array(),
    labels: (rows: Uint32Array) => rows.map((m) => labels[m]),
  };
  const source = batchSource({ x1, condition: tensor(labels) }, host);
  const loss = new DriftLoss({ student, teacher: student, source, batchSize: 2 * n }, {
    ...{ encode: () => [], references: Uint32Array.from(upTo(5)), others, push, classes: 2, evaluations: 1 },
  });
  loss.write(new Uint32Array(), 7, 3);
  const [found] = await loss.loss(new Map()).read();
  const noise = await randomNormal(tensor(Uint32Array.of(7, streams.noise, 3)), [2 * n, D]).read();
  const expected = [[0, 1], [1, 0]].map((order) =>
    // of the classes
    driftOf(order.map((label, g) => ({
      x: upTo(n).map((i) => upTo(D).map((k) => 1.1 * noise[((g * n) + i) * D + k] + label)),
      own: images[label],
      other: images[1 - label],
    })))
  );
  const near = expected.toSorted((a, b) => Math.abs(a - found) - Math.abs(b - found))[0];
  assertClose([found], [near], 2e-5);
});

testOnCpu("ReflowLoss() learns each pair once per epoch, in a new order each time", async () => {
  const [count, batchSize] = [12, 4];
  const x1 = tensor(upTo(count).map((m) => 2 ** (m / 2)), [count, 1, 1, 1]); // the sum of squares identifies them
  const still = {
    velocity: (x: Tensor) => x,
    meanVelocity: (x: Tensor) => multiply(x, 0),
  } as unknown as Model;
  const pairs = batchSource({ x0: zeros([count, 1, 1, 1]), x1 });
  const loss = new ReflowLoss({ student: still, batchSize }, pairs, { count, whole: 0.5 });
  const batches: number[] = [];
  for (const step of upTo(6)) {
    loss.write(new Uint32Array(), 1, step);
    batches.push(Math.round(batchSize * (await loss.loss(new Map()).read())[0]));
  }
  assert.deepEqual([sum(batches.slice(0, 3)), sum(batches.slice(3))], [2 ** count - 1, 2 ** count - 1]);
  assert.notDeepEqual(batches.slice(0, 3), batches.slice(3));
});

/** Gives the times and lengths that a loss draws. */
class Draws extends TaughtLoss {
  override loss(): Tensor {
    return this.drawn()[1];
  }
  drawn() {
    const { t } = this.points();
    return [t, this.lengths(t, 0.2)] as const;
  }
}

testOnCpu("the points of a distillation start at noise, and its steps have every length", async () => {
  const N = 4000;
  const draws = new Draws(
    { student, teacher: student, source: batchSource(zeros([1, 1, 1, 1])), batchSize: N },
    0.25,
  );
  draws.write(new Uint32Array(N), 3, 0);
  const [t, d] = await Promise.all(draws.drawn().map((each) => each.read()));
  const share = (fits: (i: number) => boolean) => upTo(N).filter(fits).length / N;
  assertClose([share((i) => t[i] === 0)], [0.25], 0.03);
  const moved = upTo(N).filter((i) => t[i] > 0);
  assertClose([mean(moved.map((i) => t[i]))], [0.5], 0.03);
  const [uniform, middle] = [1, 0].map((odd) =>
    moved.filter((i) => i % 2 === odd).map((i) => (t[i] - 0.5) ** 2)
  );
  assertClose([mean(uniform)], [1 / 12], 0.01);
  assert.ok(mean(middle) < 0.05, `${mean(middle)} around the middle`);
  const part = (i: number) => d[i] / (1 - t[i]);
  assertClose([share((i) => d[i] === 0), share((i) => part(i) > 0.999)], [0.2, 0.24], 0.03);
  const between = upTo(N).filter((i) => part(i) > 0 && part(i) < 0.999).map(part);
  for (const tenth of upTo(10)) {
    const inside = between.filter((value) => Math.floor(10 * value) === tenth).length / between.length;
    assertClose([inside], [0.1], 0.03);
  }
});
