/// <reference lib="dom" />
/** Painting in a sample, and samples with other snapshots. */

import assert from "node:assert/strict";
import { reportHtml } from "../../../viz/report/mod.ts";
import type { Page } from "../../browser.ts";
import { assertClose } from "../../testing.ts";
import { madeUpFlow } from "../flow/made_up_flow.ts";
import { liveReport, Network, recorded } from "./live_data.ts";
import { hostile, run, size } from "./made_up.ts";
import {
  draw,
  moveTo,
  over,
  pixel,
  rounding,
  see,
  testReport,
  text,
  told,
  tracesOf,
  untilLive,
} from "./opened.ts";

const { H, W } = size;

const network = await Network.of(3);
const one = reportHtml(await liveReport({ [hostile]: network }));

/** Paints a dot with the mouse, and clears the page's text before. */
async function dot(page: Page, row: number, column: number): Promise<void> {
  await page.evaluate(() => document.getElementById("live-text")!.textContent = "");
  await page.locator(".frame").first().scrollIntoViewIfNeeded();
  const { x, y, width, height } = (await page.locator(".frame").first().boundingBox())!;
  await page.mouse.move(x + (column + 0.5) / W * width, y + (row + 0.5) / H * height);
  await page.mouse.down();
  await page.mouse.up();
}

await testReport(
  "reportHtml() continues the flow from paint, and undoes it",
  one,
  async (page) => {
    await untilLive(page);
    const before = await pixel(page, 5, 5);
    await moveTo(page, 50);
    await page.getByRole("button", { name: "Paint", exact: true }).click();
    await page.locator("#brush-size").fill("1");
    await dot(page, 5, 5);
    await told(page, "Sample 1 painted at t = 0.50: 10 steps of euler, 10 evaluations, ");
    const painted = await pixel(page, 5, 5);

    // The library gives the same.
    const { seed, ...how } = recorded;
    const whole = await network.flow(seed, how);
    const x = whole.image.slice(10 * H * W, 11 * H * W);
    x[5 * W + 5] = 1;
    const rest = await network.flowFrom(x, how, 10);
    assertClose(painted.t, before.t, 1e-6);
    assertClose(painted.value.slice(0, 10), before.value.slice(0, 10), rounding);
    assert.equal(painted.value[10], 1);
    assertClose(painted.value.slice(10), over(rest.image, 5, 5), rounding);
    assertClose((await pixel(page, 6, 5)).value.slice(10), over(rest.image, 6, 5), rounding);
    assert.ok(Math.abs(painted.value[20] - before.value[20]) > 0.05, "paint changes the end");

    // More paint at the same t is added; paint at a later t changes the flow from there.
    await page.locator("#brush input[value=black]").check();
    await dot(page, 2, 9);
    await page.waitForFunction(() => (document.getElementById("pixel-text")!.textContent ?? "") !== "");
    x[2 * W + 9] = 0;
    const both = await network.flowFrom(x, how, 10);
    await told(page, "Sample 1 painted at t = 0.50: ");
    assertClose((await pixel(page, 2, 9)).value.slice(10), over(both.image, 2, 9), rounding);

    // The space bar paints noise at the pixel that arrow keys chose.
    await page.locator("#brush input[value=noise]").check();
    await moveTo(page, 75);
    await page.locator(".frame").first().focus();
    await page.keyboard.press("ArrowDown");
    await page.keyboard.press("Space");
    await told(page, "Sample 1 painted at t = 0.75: 5 steps of euler");
    assert.notEqual((await pixel(page, 3, 9)).value[15], over(both.image, 3, 9)[5]);

    await page.getByRole("button", { name: "Undo the painting" }).click();
    assert.deepEqual(await pixel(page, 5, 5), before);
    assert.equal(await page.locator("#paint-undo").isVisible(), false);

    // Paint at two times of one sample, then on another before the first is solved: all paint is kept.
    await draw(page, 3, "euler", 20);
    await page.evaluate(() => {
      const byId = (id: string) => document.getElementById(id) as HTMLInputElement;
      const paintAt = (position: number, brush: string) => {
        byId("time").value = `${position}`;
        byId("time").dispatchEvent(new Event("input"));
        document.querySelector<HTMLInputElement>(`#brush input[value=${brush}]`)!.checked = true;
        byId("view-x").parentElement!.dispatchEvent(
          new KeyboardEvent("keydown", { key: " ", bubbles: true }),
        );
      };
      paintAt(50, "white");
      paintAt(75, "black");
      document.querySelector<HTMLElement>('[aria-label="Sample 1"]')!.click();
      paintAt(50, "white");
    });
    await told(page, "Sample 1 painted at t = 0.50: ");
    const [, row, column] = /row (\d+), column (\d+):/.exec(await text(page, "pixel-text"))!.map(Number);
    assert.equal((await pixel(page, row, column)).value[10], 1);
    await page.getByLabel("Seed 3").click();
    const { value } = await pixel(page, row, column);
    const drawn = (await network.flow(3, how)).image.slice(10 * H * W, 11 * H * W);
    drawn[row * W + column] = 1;
    const half = (await network.flowFrom(drawn, how, 10)).image;
    const last = half.slice(5 * H * W, 6 * H * W);
    last[row * W + column] = 0;
    const end = (await network.flowFrom(last, how, 15)).image;
    assertClose(
      value.slice(10),
      [...over(half, row, column).slice(0, 5), ...over(end, row, column)],
      rounding,
    );

    await moveTo(page, 100);
    await dot(page, 5, 5);
    await told(page, "The flow ends at t = 1: move t back to paint.");
  },
);

const times = [0, 0.125, 0.25, 0.5, 1];
const flow = { ...madeUpFlow(1, 5, [H, W]), t: Float32Array.from(times) };
const solved = { seed: 1, solver: "euler", steps: 4, times };

/** A library with one network, whose velocity is 1 everywhere. */
const library = `
const tensor = (values) => ({ values, read: async () => values });
const same = (values) => values;
class Sampler {
  constructor(model, shape, { times, steps }) {
    if (steps !== undefined) throw new TypeError("both of steps and times given");
    this.times = times;
    this.evaluations = 0;
  }
  async *trajectory({ values }, { first }) {
    for (let i = first, x = values; i < this.times.length; i++) {
      const t = this.times[i];
      this.evaluations += i + 1 < this.times.length;
      yield { t, image: x, ...i + 1 < this.times.length && { velocity: x.map(() => 1) } };
      x = x.map((value) => value + this.times[i + 1] - t);
    }
  }
}
const loadCheckpoint = () => ({ model: {}, shape: [1, ${H}, ${W}], info: { normalization: { scale: 1, shift: 0 }, config: {} } });
const init = async () => ({ kind: "cpu", description: "paper" });
const solvers = { euler: {} };
const adaptiveSolvers = {}, timeGrids = { uniform: {} };
class AdaptiveSampler {}
const gridTimes = () => [0, 1];
const bitsPerDimension = async (model, x1, { seed }) => ({ bits: [1 + 2 * seed], evaluations: 7 });
export { adaptiveSolvers, bitsPerDimension, AdaptiveSampler, gridTimes, timeGrids, fromPixels, init, loadCheckpoint, noise, Sampler, snapshotToPixels, solvers, tensor, toPixels };
const noise = tensor, fromPixels = same, toPixels = same, snapshotToPixels = same;
`;

const tests = { shape: [1, 1, H, W] as const, image: new Float32Array(H * W) };
const live = { checkpoint: new Uint8Array(3), tests };
await testReport(
  "reportHtml() uses the times of snapshots, and measures bits with new random signs each time",
  reportHtml({ runs: [run("uneven", { trajectories: [flow], solved, live })], library }),
  async (page) => {
    await page.locator("#explorer").scrollIntoViewIfNeeded();
    await page.waitForFunction(() => document.documentElement.dataset.live === "ready");
    await moveTo(page, 30);
    assert.match(await text(page, "flow-times"), /; snapshot at t = 0\.250$/);
    const line = async () => {
      await see(page, "pixel-chart");
      return (await tracesOf(page, "pixel-chart"))[0];
    };
    assert.deepEqual((await line()).x, times);

    await page.getByRole("button", { name: "Paint", exact: true }).click();
    await page.locator("#brush-size").fill("1");
    await page.locator(".frame").first().focus();
    await page.keyboard.press("Space");
    await page.waitForFunction(() =>
      document.getElementById("live-text")!.textContent!.startsWith(
        "Sample 1 painted at t = 0.25: 2 steps of euler, 2 evaluations, ",
      )
    );
    const { x, y } = await line();
    assert.deepEqual(x, times);
    const before = [0, 1].map((m) => flow.image[m * H * W + 6 * W + 6]);
    assertClose(y, [...before, 1, 1.25, 1.75], 1e-3);

    // Each press measures with other random signs.
    for (const words of ["1.000 bits", "2.000 \u00b1 1.000 bits per dimension (2 draws of random signs)"]) {
      await page.locator("#bits-examples button").click();
      await page.getByText(`Test image 1: ${words}`).waitFor();
    }
  },
);
