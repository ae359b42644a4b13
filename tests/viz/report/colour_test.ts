/// <reference lib="dom" />
/** Reports of images with three channels, in Chromium. */

import assert from "node:assert/strict";
import { type Comparison, type PlaneTrajectories, reportHtml } from "../../../viz/report/mod.ts";
import { assertClose } from "../../testing.ts";
import { madeUpColourFlow } from "../flow/made_up_flow.ts";
import { liveReport, Network, recorded } from "./live_data.ts";
import { plane, run, size } from "./made_up.ts";
import {
  draw,
  moveTo,
  numbersIn,
  type Report,
  see,
  testReport,
  text,
  told,
  tracesOf,
  untilLive,
} from "./opened.ts";

const { H, W } = size;
const P = H * W;
const flow = madeUpColourFlow(1, 21, [H, W]);

/** Trajectories with red, green and blue images. */
function colourPlane(): PlaneTrajectories {
  const { image: _, shape: [M, N], ...rest } = plane(6, 20);
  const image = Float32Array.from(
    { length: N * 3 * P },
    (_, i) => Math.floor(i / P) % 3 === Math.floor(i / (3 * P)) % 3 ? 1 : 0,
  );
  return { ...rest, image, shape: [M, N, 3, H, W] };
}

/** A comparison of two models whose velocities differ by 0.3 in one channel. */
function comparison(): Comparison {
  const [S, T] = [1, 2];
  const full = (...channels: number[]) =>
    Float32Array.from({ length: S * T * 3 * P }, (_, i) => channels[Math.floor(i / P) % 3]);
  const rms = Number((0.3 / Math.sqrt(3)).toPrecision(6));
  const between = [[Array(T).fill(0), Array(T).fill(rms)], [Array(T).fill(rms), Array(T).fill(0)]];
  return {
    runs: [0, 1],
    difference: [between, between],
    t: Float32Array.of(0, 0.5),
    shape: [S, T, 3, H, W],
    points: [full(1, 0, 0), full(0, 0, 1)],
    velocities: [[full(0, 0, 0), full(0.3, 0, 0)], [full(0, 0, 0), full(0.3, 0, 0)]],
  };
}

/** The colour of a pixel of a canvas. */
function colourOf(report: Report, id: string, row: number, column: number): Promise<number[]> {
  return report.evaluate(({ id, row, column }) => {
    const context = (document.getElementById(id) as HTMLCanvasElement).getContext("2d")!;
    return [...context.getImageData(column, row, 1, 1).data].slice(0, 3);
  }, { id, row, column });
}

/** The channels of a pixel at a snapshot. */
const channelsAt = (values: Float32Array, m: number, row: number, column: number) =>
  [0, 1, 2].map((c) => values[((m * 3 + c) * H + row) * W + column]);

const level = (value: number) => Math.round(255 * Math.min(1, Math.max(0, value)));

await testReport(
  "reportHtml() shows three channels in colour",
  reportHtml({
    runs: ["a", "b"].map((name) => run(name, { trajectories: [flow], plane: colourPlane() })),
    comparison: comparison(),
  }),
  async (page) => {
    await page.locator("#explorer").scrollIntoViewIfNeeded();
    await moveTo(page, 25);
    const [row, column, m] = [6, 6, 5];
    const [x, v] = [channelsAt(flow.image, m, row, column), channelsAt(flow.velocity, m, row, column)];
    const end = x.map((value, c) => value + 0.75 * v[c]);
    await page.waitForFunction(() => document.getElementById("pixel-text")!.textContent !== "");
    const words = await text(page, "pixel-text");
    assert.match(words, /^row 6, column 6 \(red, green, blue\): value /);
    assertClose(numbersIn(words), [...x, ...v, ...end], 1e-3);
    assertClose(await colourOf(page, "view-x", row, column), x.map(level), 1);
    assertClose(await colourOf(page, "view-end", row, column), end.map(level), 1);
    const [red, , blue] = await colourOf(page, "view-v", row, column);
    assert.equal(Math.sign(red - blue), Math.sign(v[0] + v[1] + v[2]), "red brightens in the mean");
    assert.match(await page.locator("#flow").innerText(), /Mean of the 3 channels\./);

    await see(page, "pixel-chart");
    const lines = await tracesOf(page, "pixel-chart");
    assert.deepEqual(
      lines.map(({ name }) => name),
      ["red", "green", "blue"].flatMap((name) =>
        ["value", "predicted end", "velocity"].map((what) => `${what}, ${name}`)
      ),
    );
    for (const c of [0, 1, 2]) {
      assertClose(
        lines[3 * c].y,
        Array.from({ length: 21 }, (_, m) => channelsAt(flow.image, m, row, column)[c]),
        1e-3,
      );
    }

    await see(page, "plane-chart");
    assert.deepEqual(await colourOf(page, "plane-image", 0, 0), [255, 0, 0]);
    await see(page, "difference-chart");
    assert.deepEqual(await colourOf(page, "compare-xb", 3, 3), [0, 0, 255]);
    assert.match(await text(page, "compare-text"), / 0\.173$/, "0.3 in one of three channels");
    assert.match(await text(page, "compare-d-scale"), /^\u22120\.10 to \+0\.10$/, "the mean of the channels");
  },
);

const network = await Network.of(3, 3);

await testReport(
  "reportHtml() draws and paints three channels",
  reportHtml(await liveReport({ colour: network })),
  async (page) => {
    await untilLive(page);
    await draw(page, 9, "heun", 4);
    const other = await network.flow(9, { solver: "heun", steps: 4 });
    await see(page, "pixel-chart");
    const over = (flow: { image: Float32Array }, M: number, c: number) =>
      Array.from({ length: M }, (_, m) => channelsAt(flow.image, m, 6, 6)[c]);
    const lines = await tracesOf(page, "pixel-chart");
    for (const c of [0, 1, 2]) assertClose(lines[3 * c].y, over(other, 5, c), 1e-5);

    // White paint sets all channels, and the flow continues as the library's does.
    await page.getByLabel("Sample 1").click();
    await moveTo(page, 50);
    await page.getByRole("button", { name: "Paint", exact: true }).click();
    await page.locator("#brush-size").fill("1");
    await page.locator(".frame").first().focus();
    await page.keyboard.press("Space");
    await told(page, "Sample 1 painted at t = 0.50: 10 steps of euler");
    const { seed, ...how } = recorded;
    const x = (await network.flow(seed, how)).image.slice(10 * 3 * P, 11 * 3 * P);
    for (const c of [0, 1, 2]) x[(c * H + 6) * W + 6] = 1;
    const rest = await network.flowFrom(x, how, 10);
    await see(page, "pixel-chart");
    const painted = await tracesOf(page, "pixel-chart");
    for (const c of [0, 1, 2]) assertClose(painted[3 * c].y.slice(10), over(rest, 11, c), 1e-3);
  },
);

Deno.test("reportHtml() refuses other numbers of channels", () => {
  const two = { ...flow, shape: [flow.shape[0], 2, H, W] as const };
  assert.throws(() => reportHtml({ runs: [run("a", { trajectories: [two] })] }), {
    name: "RangeError",
    message: "Cannot report: images have 2 channels (expected 1, grey, or 3: red, green and blue)",
  });
  const { shape: [M, N], ...rest } = colourPlane();
  assert.throws(
    () => reportHtml({ runs: [run("a", { plane: { ...rest, shape: [M, N, 4, H, W] } })] }),
    /^RangeError: Cannot report the plane: images have 4 channels/,
  );
});
