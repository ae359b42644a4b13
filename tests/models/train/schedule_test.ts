import assert from "node:assert/strict";
import {
  constantSchedule,
  cosineSchedule,
  createSchedule,
  oneCycleSchedule,
  plateauSchedule,
  type ScheduleName,
  scheduleNames,
} from "../../../models/mod.ts";
import { testNeeding } from "../../permissions.ts";
import { assertClose } from "../../testing.ts";
import { folder } from "../vectors.ts";

const vectors = () => JSON.parse(Deno.readTextFileSync(new URL("schedules.json", folder)));

testNeeding({ read: true }, "oneCycleSchedule() matches PyTorch's", () => {
  const { settings, learning_rates: expected } = vectors().OneCycleLR;
  const last = settings.total_steps - 1;
  const { learningRate } = oneCycleSchedule(settings.max_lr, {
    warmup: (settings.pct_start * settings.total_steps - 1) / last,
    startDivisor: settings.div_factor,
    endDivisor: settings.final_div_factor,
  });
  assertClose(expected.map((_: number, i: number) => learningRate(i / last)), expected, 1e-12);
});

testNeeding({ read: true }, "cosineSchedule() matches PyTorch's", () => {
  const { settings, learning_rates: expected } = vectors().CosineAnnealingLR;
  const { learningRate } = cosineSchedule(settings.lr, { final: settings.eta_min });
  assertClose(expected.map((_: number, i: number) => learningRate(i / settings.T_max)), expected, 1e-12);
});

testNeeding({ read: true }, "plateauSchedule() matches PyTorch's, also through its state", () => {
  const { settings, losses, learning_rates: expected } = vectors().ReduceLROnPlateau;
  const { lr, factor, patience, threshold } = settings;
  const rates = losses.map((_: number, i: number) => {
    const [first, second] = [0, 1].map(() => plateauSchedule(lr, { factor, patience, threshold }));
    losses.slice(0, i / 2).forEach(first.observe);
    second.restore(JSON.parse(JSON.stringify(first.state())));
    losses.slice(i / 2, i + 1).forEach(second.observe);
    return second.learningRate(i / losses.length);
  });
  assertClose(rates, expected, 1e-12);
});

Deno.test("plateauSchedule() cools down after a reduction, and stops at its minimum", () => {
  const schedule = plateauSchedule(1, { factor: 0.5, patience: 0, cooldown: 2, minimum: 0.4 });
  const rates = [1, 1, 1, 1, 1, 1, 1, 1].map((loss) => {
    schedule.observe(loss);
    return schedule.learningRate(0);
  });
  assert.deepEqual(rates, [1, 0.5, 0.5, 0.5, 0.4, 0.4, 0.4, 0.4]);
});

Deno.test("plateauSchedule() counts a NaN loss as no improvement", () => {
  const schedule = plateauSchedule(1, { factor: 0.5, patience: 1 });
  const rates = [1, NaN, NaN, 0.9, NaN, 0.95, 0.8].map((loss) => {
    schedule.observe(loss);
    return schedule.learningRate(0);
  });
  assert.deepEqual(rates, [1, 1, 0.5, 0.5, 0.5, 0.25, 0.25]);
  assert.equal(schedule.state().best, 0.8);
});

Deno.test("constantSchedule(), cosineSchedule() and plateauSchedule() warm up linearly", () => {
  for (const make of [constantSchedule, cosineSchedule, plateauSchedule]) {
    const { learningRate } = make(2, { warmup: 0.5 });
    assert.deepEqual([0, 0.125, 0.25, 0.5].map(learningRate), [0, 0.5, 1, 2]);
  }
  assert.ok(Math.abs(cosineSchedule(2, { warmup: 0.5, final: 1 }).learningRate(0.75) - 1.5) < 1e-15);
});

Deno.test("createSchedule() makes every schedule by name, and clamps progress to [0, 1]", () => {
  for (const name of ["constant", "cosine", "one_cycle", "plateau"] as const) {
    const { learningRate } = createSchedule(name, 0.5, { warmup: 0.25 });
    assert.ok(Math.abs(learningRate(0.25) - 0.5) < 1e-12, name);
    assert.equal(learningRate(-1), learningRate(0), name);
    assert.equal(learningRate(7), learningRate(1), name);
  }
  assert.equal(createSchedule("one_cycle", 1, { warmup: 0 }).learningRate(-1), 1);
});

Deno.test("createSchedule() refuses unknown names and invalid settings", () => {
  const unknown = /Unknown schedule "cosin": did you mean "cosine"/;
  assert.throws(() => createSchedule("cosin" as ScheduleName, 1), unknown);
  for (const name of scheduleNames) {
    const message = new RegExp(`"warmups" of schedule ${name}: did you mean "warmup"`);
    assert.throws(() => createSchedule(name, 1, { warmups: 0.1 }), message);
  }
  const refused = (name: ScheduleName, rate: number, settings: Record<string, number>, message: RegExp) =>
    assert.throws(() => createSchedule(name, rate, settings), { name: "RangeError", message });
  const badRate = /^Cannot make a schedule: the learning rate is .* \(expected a number of at least 0\)$/;
  for (const name of scheduleNames) for (const rate of [NaN, Infinity, -1]) refused(name, rate, {}, badRate);
  refused("cosine", 1, { warmup: 1 }, /warm up for 1 of a run/);
  refused("plateau", 1, { factor: 2 }, /factor 2 \(expected 0 < factor < 1\)/);
  refused("cosine", 1, { final: NaN }, /final is NaN \(expected a number of at least 0\)/);
  refused("one_cycle", 1, { startDivisor: 0 }, /startDivisor is 0 \(expected a number above 0\)/);
  refused("one_cycle", 1, { endDivisor: NaN }, /endDivisor is NaN \(expected a number above 0\)/);
  refused("plateau", 1, { threshold: NaN }, /threshold is NaN/);
  refused("plateau", 1, { minimum: -1 }, /minimum is -1/);
});
