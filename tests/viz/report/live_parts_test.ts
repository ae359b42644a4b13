/** The parts of a report's page that handle samples and need no browser. */

import assert from "node:assert/strict";
import type { PageRun } from "../../../viz/report/page_data.ts";
import { coveredBy, strokeOf } from "../../../viz/report/page/brush.ts";
import { runLine } from "../../../viz/report/run_figures.ts";
import { velocityDifference } from "../../../viz/report/page/comparison.ts";
import { signed } from "../../../viz/report/page/dom.ts";
import { channelsOf, imagePixels, pageColours, pixelAt } from "../../../viz/report/page/image_panel.ts";
import { formatBits } from "../../../viz/report/page/live_bits.ts";
import { guidedBy, labelsOf, solverFor } from "../../../viz/report/page/live_controls.ts";
import { pixelFigure } from "../../../viz/report/page/pixel_chart.ts";
import type { Row } from "../../../viz/report/page/live_grid.ts";
import { formatSolving } from "../../../viz/report/page/remote_engine.ts";
import { stepComparison } from "../../../viz/report/page/step_comparison.ts";
import { formatSteps, stepsFigure } from "../../../viz/report/page/step_strip.ts";
import {
  formatSolver,
  GrowingTrajectory,
  recorded,
  type Steps,
  stepTimes,
} from "../../../viz/report/page/trajectory_view.ts";
import { assertClose } from "../../testing.ts";
import { pageData } from "../../../viz/report/page_data.ts";
import { madeUpFlow } from "../flow/made_up_flow.ts";
import { run } from "./made_up.ts";

const size = [3, 4, 5] as const;

Deno.test("strokeOf() paints its pixels in all channels, with different noise in each", async () => {
  const pixels = [0, 7, 19];
  const before = Float32Array.from({ length: 60 }, (_, i) => i);
  const painted = (image: Float32Array) =>
    [0, 1, 2].map((c) => pixels.map((pixel) => image[20 * c + pixel])).flat();
  for (const [brush, value] of [["white", 1], ["black", 0]] as const) {
    const image = before.slice();
    await strokeOf(pixels, brush, size, () => Promise.reject())(image);
    assert.deepEqual(painted(image), Array(9).fill(value));
    const others = image.filter((value, i) => value === before[i]).length;
    assert.ok(others === 51 || brush === "black" && others === 52, `${others} stay`);
  }
  const noise = strokeOf(
    pixels,
    "noise",
    size,
    (noise) => Promise.resolve(noise.map((value) => value / 2 + 9)),
  );
  const [first, again] = [before.slice(), before.slice()];
  await noise(first);
  await noise(again);
  assert.deepEqual(first, again, "the same when repainted");
  assert.equal(new Set(painted(first)).size, 9);
  assert.ok(painted(first).every((value) => Math.abs(value - 9) < 4), "scaled like pixels");
  const many = new Float32Array(60_000);
  const all = Array.from({ length: 20_000 }, (_, i) => i);
  await strokeOf(all, "noise", [3, 100, 200], (noise) => Promise.resolve(noise))(many);
  const moment = (power: number) => many.reduce((sum, x) => sum + x ** power, 0) / many.length;
  assert.ok(Math.abs(moment(1)) < 0.03 && Math.abs(moment(2) - 1) < 0.05, "standard normal");
});

Deno.test("coveredBy() is a line as wide as the brush, within the image", () => {
  const from = (row: number, column: number) => ({ row, column });
  assert.deepEqual(coveredBy(from(1, 1), from(1, 1), 1, size), [6]);
  assert.deepEqual(coveredBy(from(0, 0), from(0, 0), 2, size), [0, 1, 5]);
  assert.deepEqual(coveredBy(from(1, 0), from(3, 4), 1, size).sort((a, b) => a - b), [5, 11, 12, 18, 19]);
  assert.deepEqual(coveredBy(from(-2, 4), from(1, 4), 1, size), [4, 9]);
  assert.deepEqual(coveredBy(from(9, 9), from(9, 9), 3, size), []);
});

Deno.test("labelsOf(), guidedBy() and solverFor() match the conditioning to each network", () => {
  const seeds = [4, 5, 6];
  const choice = (label: number | "all" | "none") => ({ label, guidance: 2 });
  assert.deepEqual(labelsOf(choice("all"), 3, seeds), [1, 2, 0]);
  assert.deepEqual(labelsOf(choice(2), 3, seeds), [2, 2, 2]);
  for (const [label, classes] of [[3, 3], ["none", 3], ["all", 0]] as const) {
    assert.equal(labelsOf(choice(label), classes, seeds), undefined, `${label} of ${classes}`);
  }
  const checkpoint = Uint8Array.of(1);
  const early = { checkpoint, guidance: 3 };
  const network = (more: object): Pick<PageRun, "live" | "classNames" | "isFlowMap" | "maxGuidance"> => ({
    live: { checkpoint },
    ...more,
  });
  assert.deepEqual(guidedBy(choice(0), 1, network({ classNames: ["cat", "owl"] })), {
    label: 1,
    className: "owl",
    guidance: 2,
  });
  assert.deepEqual(guidedBy(choice(0), 1, network({ isFlowMap: true })), { label: 1, className: undefined });
  const steered = network({ isFlowMap: true, maxGuidance: 1.5 });
  assert.deepEqual(guidedBy(choice(0), 1, steered), {
    label: 1,
    className: undefined,
    guidance: 1.5,
    takesGuidance: true,
  });
  assert.deepEqual(guidedBy(choice("none"), undefined, network({ live: { checkpoint, early } })), {
    guidance: 2,
  });
  assert.deepEqual(guidedBy(choice("none"), undefined, network({})), {});
  const map = { solver: "map", steps: 2 };
  assert.deepEqual([false, true].map((isFlowMap) => solverFor(map, { isFlowMap }).solver), ["euler", "map"]);
});

Deno.test("GrowingTrajectory continues another trajectory, snapshot by snapshot", () => {
  const before = { ...madeUpFlow(1, 5, [1, 2]), id: -1, name: "", origin: "" };
  const solved = { solver: "euler", steps: 4, label: 1, className: "owl", guidance: 1.5 };
  const growing = new GrowingTrajectory({ name: "a", origin: "drawn" }, solved, [1, 1, 2], {
    trajectory: before,
    first: 3,
  });
  growing.add({ t: 0.75, image: Float32Array.of(5, 6), velocity: Float32Array.of(7, 8) });
  const part = growing.view;
  assert.deepEqual([part.shape, [...part.t]], [[4, 1, 1, 2], [0, 0.25, 0.5, 0.75]]);
  assert.deepEqual([...part.image], [...before.image.subarray(0, 6), 5, 6]);
  assert.deepEqual([...part.velocity], [...before.velocity.subarray(0, 6), 7, 8]);
  growing.add({ t: 1, image: Float32Array.of(9, 9) });
  growing.finish(1);
  const whole = growing.view;
  assert.deepEqual([whole.shape[0], whole.velocity.length, whole.origin], [5, 8, "drawn, 1 evaluation"]);
  assert.notEqual(part.id, whole.id);
  assert.equal(growing.view.id, whole.id, "a complete trajectory stays the same");
  assert.equal(formatSolver(solved), "4 steps of euler, class owl, guidance 1.5");
  assert.equal(
    formatSolver({ solver: "dopri5", steps: 20, tolerance: 0.1, guidance: 2 }),
    "dopri5 with tolerance 0.1, autoguidance 2",
  );
  assert.deepEqual(stepTimes(solved), [0, 0.25, 0.5, 0.75, 1]);
});

Deno.test("recorded() describes the noise and class of each sample", () => {
  const trajectories = [0, 1].map((s) => madeUpFlow(s, 3, [2, 2]));
  const solved = { seed: 7, solver: "heun", steps: 2, labels: [1, 0], guidance: 2, evaluations: 4 };
  const { runs: [page] } = pageData({
    runs: [run("a", { trajectories, solved, classNames: ["cat", "owl"] })],
  });
  const [first, second] = recorded(page);
  assert.equal(first.origin, "noise 1 of seed 7, 2 steps of heun, class owl, guidance 2, 4 evaluations");
  assert.deepEqual([second.name, second.noise, second.solved?.label], ["Sample 2", { seed: 7, row: 1 }, 0]);
});

Deno.test("imagePixels() maps grey values through the palette, and keeps colours", () => {
  const palette = Uint8Array.from(
    { length: 768 },
    (_, i) => i % 3 === 0 ? i / 3 : i % 3 === 1 ? 7 : 255 - i / 3,
  );
  const grey = imagePixels(Float32Array.of(-1, 0, 1, 9), [1, 2, 2], { palette, range: [1, -1] });
  const at = (level: number) => [...palette.subarray(3 * level, 3 * level + 3), 255];
  assert.deepEqual([...grey], [255, 128, 0, 0].flatMap(at));
  const colours = { palette, range: [0, 1] } as const;
  assert.deepEqual([...imagePixels(Float32Array.of(0, 1, 0.2, 0, 1, 0.4), [3, 1, 2], colours)], [
    ...[0, 51, 255, 255],
    ...[255, 0, 102, 255],
  ]);
  const { image, signed } = pageColours({ image: palette.toBase64(), signed: palette.toBase64() });
  assert.deepEqual([image, signed(2)], [{ palette, range: [0, 1] }, { palette, range: [2, -2] }]);
  const frame = { getBoundingClientRect: () => ({ left: 10, top: 20, width: 200, height: 80 }) };
  const under = (clientX: number, clientY: number) =>
    pixelAt(frame as HTMLElement, size, { clientX, clientY } as MouseEvent);
  assert.deepEqual([under(10, 20), under(95, 79), under(209, 41)], [
    { row: 0, column: 0 },
    { row: 2, column: 2 },
    { row: 1, column: 4 },
  ]);
});

Deno.test("channelsOf() and signed() return the values of a pixel, with their signs", () => {
  const image = Float32Array.from({ length: 60 }, (_, i) => i);
  assert.deepEqual(channelsOf(image, size, { row: 2, column: 3 }), [13, 33, 53]);
  assert.deepEqual([0.25, -0.25, 0].map((value) => signed(value, 2)), ["+0.25", "\u22120.25", "+0.00"]);
});

Deno.test("pixelFigure() predicts the end of each channel from its value and velocity", () => {
  const { data } = pixelFigure({ t: [0, 0.5, 1], value: [[0, 1, 3]], velocity: [[2, 4]] });
  assert.deepEqual(data.map(({ name, x, y }) => [name, x, y]), [
    ["value", [0, 0.5, 1], [0, 1, 3]],
    ["predicted end", [0, 0.5, 1], [2, 3, 3]],
    ["velocity", [0, 0.5], [2, 4]],
  ]);
  const three = pixelFigure({ t: [0], value: [[0], [1], [2]], velocity: [[0], [0], [0]] });
  const named = three.data.filter(({ showlegend }) => showlegend).map(({ legendgroup }) => legendgroup);
  assert.deepEqual(named, ["red", "green", "blue"]);
});

Deno.test("formatBits() has the mean of the draws, its standard error and its meaning", () => {
  const one = "2.000 bits per dimension: a code based on this network needs about 196 bytes for it, " +
    "compared with 784 bytes uncompressed";
  assert.equal(formatBits([2], 784), one);
  assert.match(
    formatBits([1, 2, 3, 2], 784),
    /^2\.000 ± 0\.408 bits per dimension \(4 draws of random signs\): /,
  );
  assert.match(formatBits([9], 784), /: more than the 8 of its file/);
});

Deno.test("velocityDifference() compares two runs at a point of the first", () => {
  const of = (values: readonly number[]) => Float32Array.from(values);
  const data = {
    shape: [2, 1, 1, 1, 2] as const,
    velocities: [[of([1, 2, 3, 4]), of([5, 5, 7, 9])], [of([0, 0, 1, 2]), of([8, 8, 8, 8])]],
  };
  assert.deepEqual([...velocityDifference(data, [0, 1], 1)], [-4, -5]);
  assert.deepEqual([...velocityDifference(data, [1, 0], 0)], [8, 8]);
  assert.deepEqual([...velocityDifference(data, [0, 0], 0)], [0, 0]);
});

Deno.test("formatSteps() counts taken and rejected steps", () => {
  const step = (t: number, dt: number, accepted: boolean) => ({ t, dt, ratio: 1, accepted });
  const row = [step(0, 0.5, false), step(0, 0.25, true), step(0.25, 0.75, true)];
  assert.equal(
    formatSteps([row], 20),
    "2 taken, 0.25 to 0.75 long; 1 rejected, 20 evaluations.",
  );
  const { data } = stepsFigure([row, [step(0, 1, true)]]);
  assert.deepEqual(data.map(({ base, x, y }) => [base, x, y]), [
    [[0, 0.25, 0], [0.25, 0.75, 1], [0, 0, 1]],
    [[0], [0.5], [0]],
  ]);
  const words = formatSteps([row, [step(0, 1, true)]], undefined);
  assert.equal(words, "1 to 2 taken, 0.25 to 1.0 long; 0 to 1 rejected, together.");
});

Deno.test("stepComparison() solves from the noise of a sample with 1, 2, 4, 8 and 20 evaluations", async () => {
  const how = { seed: 7, solver: "heun", steps: 20, labels: [2, 1] };
  const { runs: [page] } = pageData({ runs: [run("a", { solved: how })] });
  const [shown] = recorded(page);
  for (
    const [isFlowMap, label, asked] of [[false, "none", undefined], [true, "all", 2], [false, 1, 1]] as const
  ) {
    const solved: [solver: string, steps: number, label: number | undefined][] = [];
    const under: (string | undefined)[] = [];
    const drawn: number[] = [];
    const engine = {
      offered: { device: "a device" },
      solve(_run: number, x: Float32Array, { solver, steps, label }: Steps, { onPart }: {
        onPart(snapshot: { t: number; image: Float32Array }): void;
      }) {
        solved.push([solver, steps, label]);
        for (let k = 0; k <= steps; k++) onPart({ t: k / steps, image: x.map((value) => value + k) });
        return Promise.resolve({ evaluations: steps });
      },
    };
    const grid = {
      prepare([{ run, pictures }]: readonly Row[]) {
        under.push(...pictures.map(({ under }) => under));
        return new Map([[run, { buttons: pictures, notes: undefined }]]);
      },
      draw: (_: unknown, image: Float32Array) => drawn.push(image[0] - shown.image[0]),
      finish() {},
    };
    const explorer = { run: 0, shown, size: [1, 12, 16], names: new Map([[0, "a"]]) };
    const place = { engine, grid, explorer, runs: [{ ...page, isFlowMap }], say() {} };
    const work = stepComparison(place as unknown as Parameters<typeof stepComparison>[0], {
      label,
      guidance: 1,
    });
    await work(new AbortController().signal);
    const solver = isFlowMap ? "map" : "euler";
    const expected = [[solver, 1], [solver, 2], [solver, 4], [solver, 8], ["heun", 10]];
    assert.deepEqual(solved, expected.map((one) => [...one, asked]));
    assert.deepEqual(under, ["1", "2", "4", "8", "20"]);
    assertClose(drawn, [1, 2, 4, 8, 10], 1e-5);
  }
});

Deno.test("formatSolving() counts the remaining steps and their evaluations", () => {
  const how = { solver: "heun", steps: 8, label: 2, guidance: 3 };
  assert.equal(
    formatSolving(how, 6, { first: 5 }),
    "3 steps of heun, class 2, guidance 3, 6 evaluations with and without the class",
  );
  const { label: _, ...auto } = how;
  assert.match(formatSolving(auto, 16), /16 evaluations of the network and its early weights$/);
  const each = { solver: "euler", steps: 1, label: 1 };
  assert.equal(
    formatSolving({ solver: "euler", steps: 1 }, 1, { count: 16, each }),
    "1 step of euler, 1 evaluation of 16 images",
  );
});

Deno.test("runLine() repeats colours with other dashes", () => {
  const looks = Array.from({ length: 18 }, (_, run) => Object.values(runLine(run)).join(" "));
  assert.equal(new Set(looks).size, 18, `${looks}`);
});
