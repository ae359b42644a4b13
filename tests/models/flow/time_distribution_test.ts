import assert from "node:assert/strict";
import { tensor } from "../../../kernels/mod.ts";
import { type TimeDistribution, timeDistributions } from "../../../models/mod.ts";
import { assertClose, testOnCpu, testOnDevices } from "../../testing.ts";
import { assertSameNumbers } from "../../same_numbers.ts";

function drawn(
  name: string,
  settings: Record<string, number>,
  counter: number,
  n: number,
): Promise<Float32Array> {
  const registry: Record<string, { make(settings: Record<string, number>): TimeDistribution }> =
    timeDistributions as never;
  return registry[name].make(settings).draw(tensor(Uint32Array.of(46020, 3, counter)), n).read();
}

for (const [name, { settings }] of Object.entries(timeDistributions)) {
  const defaults = Object.fromEntries(
    Object.entries<{ default: number }>(settings).map(([key, setting]) => [key, setting.default]),
  );

  testOnDevices(`timeDistributions: ${name} draws times in [0, 1] that depend only on the key`, async () => {
    const draw = (counter: number, n: number) => drawn(name, defaults, counter, n);
    const t = await draw(0, 1000);
    assert.equal(t.length, 1000);
    assert.ok(t.every((t) => t >= 0 && t <= 1), `${t.slice(0, 9)}`);
    assert.ok(new Set(t).size > 900, "times differ");
    assertSameNumbers(await draw(0, 1000), t);
    assert.notDeepEqual(await draw(1, 1000), t);
  });
}

/** Unnormalised densities of t on [0, 1], with their settings. */
const densities: Record<string, readonly [settings: Record<string, number>, (t: number) => number]> = {
  uniform: [{}, () => 1],
  logit_normal: [
    { mean: -0.8, scale: 0.8 },
    (t) => Math.exp(-(((Math.log(t / (1 - t)) + 0.8) / 0.8) ** 2) / 2) / (t * (1 - t)),
  ],
  stratified: [{}, () => 1],
  u_shaped: [{ a: 4 }, (t) => Math.exp(4 * t) + Math.exp(4 * (1 - t))],
};

for (const [name, [settings, density]] of Object.entries(densities)) {
  testOnDevices(`timeDistributions: ${name} has the moments of its density`, async () => {
    const N = 20_000;
    const t = await drawn(name, settings, 5, N);
    const points = Array.from({ length: 20_000 }, (_, i) => (i + 0.5) / 20_000);
    const total = points.reduce((sum, t) => sum + density(t), 0);
    const expected = (f: (t: number) => number) =>
      points.reduce((sum, t) => sum + f(t) * density(t), 0) / total;
    for (const k of [1, 2, 3]) {
      const [moment, square] = [expected((t) => t ** k), expected((t) => t ** (2 * k))];
      const estimate = t.reduce((sum, t) => sum + t ** k, 0) / N;
      const error = Math.sqrt((square - moment ** 2) / N);
      assert.ok(Math.abs(estimate - moment) < 4 * error, `moment ${k} is ${estimate} (expected ${moment})`);
    }
  });
}

testOnDevices("timeDistributions: stratified draws one time per bin, in order", async () => {
  for (const counter of [0, 1]) {
    const t = await drawn("stratified", {}, counter, 64);
    assert.deepEqual([...t].map((t) => Math.floor(t * 64)), [...Array(64).keys()]);
  }
});

testOnDevices("timeDistributions: u_shaped follows its formula for any steepness", async () => {
  const u = await drawn("uniform", {}, 1, 1000);
  for (const a of [1e-9, 1e-4, 0.0299, 0.03, 0.1, 40]) {
    const t = await drawn("u_shaped", { a }, 1, 1000);
    assertClose(t, u.map((u) => 0.5 + Math.asinh((2 * u - 1) * Math.sinh(a / 2)) / a), 1e-5);
    assert.ok(t.every((t) => t >= 0 && t <= 1) && new Set(t).size > 900, "times differ");
  }
});

testOnCpu("timeDistributions refuse settings out of range", () => {
  const { u_shaped, logit_normal } = timeDistributions;
  for (const a of [0, -1, 41, NaN, Infinity]) {
    assert.throws(() => u_shaped.make({ a }), {
      name: "RangeError",
      message: `Cannot draw u_shaped times: a is ${a} (expected a number above 0, at most 40)`,
    });
  }
  for (const [mean, scale] of [[0, -1], [0, 0], [0, NaN], [NaN, 1], [0, Infinity]]) {
    assert.throws(() => logit_normal.make({ mean, scale }), {
      name: "RangeError",
      message: `Cannot draw logit_normal times: mean is ${mean} and scale ${scale} ` +
        "(expected finite numbers, scale above 0)",
    });
  }
});
