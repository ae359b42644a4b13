import assert from "node:assert/strict";
import { multiply, type Tensor, tensor } from "../../../kernels/mod.ts";
import { gridTimes, sample, type TimeGridName, timeGrids, type TimesOptions } from "../../../models/mod.ts";
import { timesOf, timesWithin } from "../../../models/solve/time_grids.ts";
import { assertClose, testOnDevices } from "../../testing.ts";

const lengths = (times: readonly number[]) => times.slice(1).map((t, i) => t - times[i]);

Deno.test("gridTimes() rises from 0 to 1 with the step lengths of the grid's formula", () => {
  for (const name of Object.keys(timeGrids) as TimeGridName[]) {
    for (const steps of [1, 2, 7, 1000]) {
      const times = gridTimes(steps, name);
      assert.deepEqual([times.length, times[0], times[steps]], [steps + 1, 0, 1]);
      assert.ok(lengths(times).every((length) => length > 0));
    }
  }
  assertClose(gridTimes(4, "quadratic"), [0, 7 / 16, 12 / 16, 15 / 16, 1], 1e-12);
  assertClose(gridTimes(4, timeGrids.quadratic.make({ bend: -1 })), [0, 1 / 16, 4 / 16, 9 / 16, 1], 1e-12);
  assertClose(gridTimes(4, timeGrids.quadratic.make({ bend: 0 })), [0, 0.25, 0.5, 0.75, 1], 1e-12);
  for (const ratio of [100, 0.01, 1, 1 + 1e-13]) {
    const steps = 10;
    const all = lengths(gridTimes(steps, timeGrids.logarithmic.make({ ratio })));
    const factors = all.slice(1).map((length, i) => length / all[i]);
    assertClose(factors, factors.map(() => ratio ** (-1 / steps)), 1e-9);
  }
});

testOnDevices("sample() accepts a grid by name, a grid object and times", async () => {
  const field = { velocity: (x: Tensor) => multiply(x, -2) };
  const by = (how: TimesOptions) => sample(field, { x0: tensor([1, 3], [2, 1]), ...how }).read();
  const expected = await by({ times: [0, 7 / 16, 12 / 16, 15 / 16, 1] });
  assertClose(await by({ steps: 4, grid: "quadratic" }), expected, 1e-6);
  assertClose(await by({ steps: 4, grid: { at: (s) => 1 - (1 - s) ** 2 } }), expected, 1e-6);
  assert.deepEqual(await by({ steps: 4, grid: "uniform" }), await by({ steps: 4 }));
});

Deno.test("timesOf() refuses times that are not monotonic in [0, 1], and more than one kind of them", () => {
  const expected = "(expected increasing or decreasing times in [0, 1])";
  const both = (other: string) => `Cannot sample: both times and ${other} were given (expected only one)`;
  const cases: [TimesOptions, message: string][] = [
    [{ times: [0] }, "Cannot sample at the times 0 (expected two or more, such as [0, 0.5, 1])"],
    [{ times: [0, 0.5, 0.5] }, `Cannot sample at t = 0.5, time 2 of 3 ${expected}`],
    [{ times: [0, 0] }, `Cannot sample at t = 0, time 1 of 2 ${expected}`],
    [{ times: [0, 1.5] }, `Cannot sample at t = 1.5, time 1 of 2 ${expected}`],
    [{ times: [1, 0.5, 0.7] }, `Cannot sample at t = 0.7, time 2 of 3 ${expected}`],
    [{ times: [NaN, 1] }, `Cannot sample at t = NaN, time 0 of 2 ${expected}`],
    [{ steps: 3, grid: { at: () => 0.5 } }, `Cannot sample at t = 0.5, time 2 of 4 ${expected}`],
    [{ times: [0, 1], steps: 1 }, both("steps")],
    [{ times: [0, 1], grid: "quadratic" }, both("grid")],
  ];
  for (const [given, message] of cases) assert.throws(() => timesOf(given), { message });
  assert.throws(() => timesOf({ grid: "quadratik" as TimeGridName }), {
    name: "TypeError",
    message: /^Unknown grid of times "quadratik": did you mean "quadratic"\?/,
  });
});

Deno.test("timesWithin() scales times to a span, and reverses them if it goes back", () => {
  const times = [0, 0.25, 1];
  assert.deepEqual(timesWithin(times, {}), times);
  assert.deepEqual(timesWithin(times, { from: 1, to: 0 }), [1, 0.25, 0]);
  assert.deepEqual(timesWithin(times, { from: 0.5 }), [0.5, 0.625, 1]);
  assert.deepEqual(timesWithin(times, { from: 0.75, to: 0.25 }), [0.75, 0.375, 0.25]);
  assert.equal(timesWithin(times, { from: 0.03, to: 0.33 }).at(-1), 0.33, "where 0.03 + 0.3 is not 0.33");
});
