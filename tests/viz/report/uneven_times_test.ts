/// <reference lib="dom" />
/** A recorded run whose snapshots are not equally spaced, with a made-up library that solves between its times. */

import assert from "node:assert/strict";
import { reportHtml } from "../../../viz/report/mod.ts";
import { testInBrowser } from "../../browser.ts";
import { assertClose } from "../../testing.ts";
import { madeUpFlow } from "../flow/made_up_flow.ts";
import { run, size } from "./made_up.ts";
import { fromFile, moveTo, see, text } from "./opened.ts";

const { H, W } = size;
const times = [0, 0.125, 0.25, 0.5, 1];
const flow = { ...madeUpFlow(1, 5, [H, W]), t: Float32Array.from(times) };
const solved = { seed: 1, solver: "euler", steps: 4, times };

/** A library of one network, whose velocity is 1 everywhere. */
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
export { adaptiveSolvers, AdaptiveSampler, gridTimes, timeGrids, fromPixels, init, loadCheckpoint, noise, Sampler, snapshotToPixels, solvers, tensor, toPixels };
const noise = tensor, fromPixels = same, toPixels = same, snapshotToPixels = same;
`;

interface PlotData {
  readonly data: { x: number[]; y: number[] }[];
}

await testInBrowser(
  "reportHtml() goes by the snapshots' own times, also when it goes on from one",
  async (browser) => {
    const live = { checkpoint: new Uint8Array(3) };
    const page = reportHtml({ runs: [run("uneven", { trajectories: [flow], solved, live })], library });
    await fromFile(browser, page, {}, async (page) => {
      await page.locator("#explorer").scrollIntoViewIfNeeded();
      await page.waitForFunction(() => document.documentElement.dataset.live === "ready");
      await moveTo(page, 30);
      assert.match(await text(page, "flow-times"), /; snapshot at t = 0\.250$/);
      const line = async () => {
        await see(page, "pixel-chart");
        return await page.evaluate(() => {
          const [{ x, y }] = (document.getElementById("pixel-chart") as unknown as PlotData).data;
          return { x, y };
        });
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
    });
  },
);
