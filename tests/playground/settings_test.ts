import assert from "node:assert/strict";
import { drawnText, planePoints, strokesOf } from "../../playground/plane_data.ts";
import {
  addressOf,
  defaults,
  needsTraining,
  type PlaygroundSettings,
  settingNames,
  settingsOf,
} from "../../playground/settings.ts";
import { assertClose } from "../testing.ts";

Deno.test("settingsOf() reads what addressOf() writes, and leaves out defaults", () => {
  const given: PlaygroundSettings = { ...defaults, data: "spiral", seed: 7, rate: 0.005, t: 0, moves: 1 };
  const address = addressOf(given);
  assert.equal(address, "#data=spiral&rate=0.005&seed=7&moves=1&t=0");
  assert.deepEqual(settingsOf(`http://127.0.0.1:8000/${address}`), { settings: given, problems: [] });
  assert.deepEqual(settingsOf(""), { settings: defaults, problems: [] });
});

Deno.test("settingsOf() starts a step at a time with something to see, unless the address sets the time", () => {
  const cases = [
    ["#step=average", 0.3, 32],
    ["#step=average&t=1", 1, 32],
    ["#step=classes&data=ring", 0.5, 32],
    ["#step=few", 1, 1],
    ["#step=few&moves=32", 1, 32],
    ["#step=follow", 1, 32],
  ] as const;
  for (const [address, t, moves] of cases) {
    const { settings } = settingsOf(address);
    assert.deepEqual([settings.t, settings.moves], [t, moves], address);
    assert.deepEqual(settingsOf(addressOf(settings)).settings, settings, address);
    assert.equal(new URLSearchParams(addressOf(settings)).size, new URLSearchParams(address).size, address);
  }
});

Deno.test("settingsOf() reports each invalid part of an address in one line, and uses the default instead", () => {
  const cases: readonly (readonly [address: string, problem: RegExp])[] = [
    ["#hidden=9999", /^hidden is "9999" \(expected a whole number from 4 to 256\)$/],
    ["#hidden=12.5", /^hidden is "12.5"/],
    ["#rate=", /^rate is "" \(expected a number from 0.00001 to 1\)$/],
    ["#rate=NaN", /^rate is "NaN"/],
    ["#data=cats", /^data is "cats" \(expected moons, ring, checkerboard, spiral, letters, drawn\)$/],
    ["#constructor=1", /^"constructor" is an unknown setting \(expected data, /],
    ["#drawn=<script>", /^drawn is "<script>" \(expected strokes in the page's own encoding\)$/],
    [`#drawn=${"A".repeat(10_000)}`, /^drawn is "A{40}…"/],
  ];
  for (const [address, problem] of cases) {
    const { settings, problems } = settingsOf(address);
    assert.equal(problems.length, 1, address);
    assert.match(problems[0], problem);
    assert.deepEqual(settings, defaults);
  }
});

Deno.test("settingsOf() changes settings that cannot be trained together, and reports the change", () => {
  const address = "#objective=one_step&path=cosine&prediction=noise&pairs=nearest";
  const needs = "the whole step needs the straight path, velocity as output, and random pairs";
  const cases = [[address, "pairs, path, output"], ["#objective=one_step&pairs=nearest", "pairs"]];
  for (const [part, changed] of cases) {
    const { settings, problems } = settingsOf(part);
    assert.deepEqual(settings, { ...defaults, objective: "one_step" });
    assert.deepEqual(problems, [`${needs} (changed: ${changed})`]);
  }
  assert.deepEqual(settingsOf("#path=cosine&pairs=nearest").problems, []);
});

Deno.test("needsTraining() is true for settings that change the weights, except for more steps", () => {
  const training = {
    ...{ data: "ring", drawn: "AA", pairs: "nearest", objective: "one_step", hidden: 8, times: "u_shaped" },
    ...{ path: "cosine", prediction: "data", rate: 0.5, batch: 8, seed: 2 },
  };
  for (const name of settingNames) {
    const other = name in training ? training[name as keyof typeof training] : "another";
    const after = { ...defaults, [name]: other } as PlaygroundSettings;
    assert.equal(needsTraining(defaults, after), name in training, name);
  }
});

Deno.test("strokesOf() restores drawn strokes to within a hundredth, without points on straight segments", () => {
  const corner = [[-1, -1], [0, -1], [1, -1], [1, 1]] as const;
  const [stroke, dot] = strokesOf(drawnText([corner, [[2.5, 3.1]]]));
  assertClose(stroke.flat(), [corner[0], corner[2], corner[3]].flat(), 0.02);
  assert.equal(dot.length, 1);
  const whole = [
    [[-1, 0], [0, 0.1], [1, 0]], // a gentle bend
    [[-3.2, -3.2], [3.2, -3.2], [3.2, 3.2], [-3.2, 3.2]], // edges
    Array.from({ length: 6 }, (_, i) => [i - 3, i % 2] as const), // a zigzag
  ] as const;
  for (const all of whole) assertClose(strokesOf(drawnText([all])).flat(2), all.flat(), 0.02);
  for (const damaged of ["A", "____", "A===", "/w"]) assert.ok(strokesOf(damaged).length <= 1, damaged);
});

Deno.test("planePoints() spreads points evenly over drawn strokes", () => {
  const drawn = drawnText([[[-2, 0], [2, 0]]]);
  const points = planePoints({ data: "drawn", drawn });
  assert.equal(points.length, 2048);
  const left = points.filter((x, i) => i % 2 === 0 && x < 0).length;
  assert.ok(Math.abs(left - 512) < 20, `${left}`);
  assert.ok(points.every((y, i) => i % 2 === 0 || Math.abs(y) < 0.2));
  assert.throws(
    () => planePoints({ data: "drawn", drawn: "" }),
    /Cannot train on drawn data: there are no strokes/,
  );
});

Deno.test("planePoints() are on about the same scale as noise, and differ between data sets", () => {
  const seen = new Set<string>();
  for (const data of ["moons", "ring", "checkerboard", "spiral", "letters"] as const) {
    const points = planePoints({ data, drawn: "" });
    const size = Math.sqrt(points.reduce((sum, value) => sum + value * value, 0) / points.length);
    assert.ok(size > 0.8 && size < 1.6, `${data}: ${size}`);
    assert.ok(points.every((value) => Math.abs(value) < 3.2), `${data} is inside the plane`);
    seen.add(points.join());
  }
  assert.equal(seen.size, 5);
});
