/// <reference lib="dom" />
/** What a reader can do with the networks in a report. */

import assert from "node:assert/strict";
import { openCheckpoint, sample } from "../../../models/mod.ts";
import type * as models from "../../../models/mod.ts";
import { type Library, reportHtml } from "../../../viz/report/mod.ts";
import * as web from "../../../web/mod.ts";
import library from "../../../web/flow.js" with { type: "text" };
import { type Page, testInBrowser, withoutDevices } from "../../browser.ts";
import { assertClose } from "../../testing.ts";
import { liveReport, Network, recorded } from "./live_data.ts";
import { hostile, run, size } from "./made_up.ts";
import { fromFile, inFrame, moveTo, type Report, see, text } from "./opened.ts";

const { H, W } = size;

/** The page's numbers of recorded samples are rounded. */
const rounding = 1e-3;

/** The library offers what pages use of it: this is checked when it is compiled. */
const offered: Library<models.Model, web.Tensor, web.SolverName> = web;

Deno.test("web/mod.ts offers what reports use of it", () => {
  assert.deepEqual(Object.keys(offered.solvers), Object.keys(web.solvers));
});

/** Waits until the controls to sample with are there, or a line says why not. */
async function untilLive(report: Report): Promise<void> {
  await report.locator("#explorer").scrollIntoViewIfNeeded();
  await report.waitForFunction(() => document.documentElement.dataset.live === "ready");
}

/** Draws the noise of a seed and follows it; waits for the words on it. */
async function draw(report: Report, seed: number, solver: string, steps: number): Promise<string> {
  await report.locator("#live-seed").fill(String(seed));
  await report.locator("#live-solver").selectOption(solver);
  await report.locator("#live-steps").fill(String(steps));
  await report.locator("#live-draw").click();
  await told(report, `Seed ${seed}:`);
  return await text(report, "live-text");
}

async function told(report: Report, words: string): Promise<void> {
  await report.waitForFunction(
    (words) => document.getElementById("live-text")!.textContent!.startsWith(words),
    words,
  );
}

/** Value and velocity over t of a pixel of the sample on the screen, and the times. */
async function course(report: Report, row: number, column: number) {
  const frame = report.locator(".frame").last();
  await frame.click({ position: await positionOf(report, row, column) });
  await report.waitForFunction(
    (start) => document.getElementById("pixel-text")!.textContent!.startsWith(start),
    `row ${row}, column ${column}:`,
  );
  await see(report, "pixel-chart");
  return await report.evaluate(() =>
    new Promise<{ t: number[]; value: number[]; velocity: number[] }>((resolve) =>
      requestAnimationFrame(() =>
        requestAnimationFrame(() => {
          const chart = document.getElementById("pixel-chart") as unknown as PlotData;
          const [value, , velocity] = chart.data;
          resolve({ t: value.x, value: value.y, velocity: velocity.y.slice(0, -1) });
        })
      )
    )
  );
}

async function positionOf(report: Report, row: number, column: number) {
  const { width, height } = (await report.locator(".frame").last().boundingBox())!;
  return { x: (column + 0.5) / W * width, y: (row + 0.5) / H * height };
}

interface PlotData {
  readonly data: { x: number[]; y: number[] }[];
}

/** A pixel over the snapshots of a field, f32[M, H, W]. */
const over = (field: Float32Array, row: number, column: number) =>
  [...field].filter((_, i) => i % (H * W) === row * W + column);

const controls = (report: Report) => report.locator("#live-draw").isVisible();

const network = await Network.of(3);
const one = reportHtml(await liveReport({ [hostile]: network }));

/** Recorded noise drawn again goes the recorded way. */
async function drawAgain(report: Report): Promise<void> {
  await untilLive(report);
  assert.ok(await controls(report), await text(report, "live-text"));
  const { seed, solver, steps } = recorded;
  const before = await course(report, 4, 7);
  assert.match(
    await draw(report, seed, solver, steps),
    /^Seed 7: 20 steps of euler, 20 evaluations, \d+ ms on CPU, 1 thread\.$/,
  );
  assert.equal(await report.locator("#live-seed").inputValue(), "8", "the next press draws other noise");
  const live = await course(report, 4, 7);
  assertClose(live.t, before.t, 1e-6);
  assertClose(live.value, before.value, rounding);
  assertClose(live.velocity, before.velocity, rounding);

  await drawOtherwise(report);
  assert.equal(await report.locator("#explorer-samples button").count(), 3);
}

/** By another solver noise goes the way of that solver. */
async function drawOtherwise(report: Report): Promise<void> {
  const { seed } = recorded;
  assert.match(await draw(report, seed, "heun", 5), /5 steps of heun, 10 evaluations, /);
  const other = await network.flow(seed, { solver: "heun", steps: 5 });
  const now = await course(report, 3, 2);
  assertClose(now.value, over(other.image, 3, 2), 1e-5);
  assertClose(now.velocity, over(other.velocity, 3, 2), 1e-5);
  assert.match(await text(report, "flow-times"), /^Seed 7; drawn in this page by 5 steps of heun; snapshot/);
}

await testInBrowser("reportHtml() samples live from a file", async (browser) => {
  await fromFile(browser, one, {}, drawAgain);
});

await testInBrowser("reportHtml() samples live in a sandboxed frame", async (browser) => {
  await inFrame(browser, one, async (report) => {
    await untilLive(report);
    await drawOtherwise(report);
  });
});

/** Paints a dot with the mouse; what the page said before is gone. */
async function dot(page: Page, row: number, column: number): Promise<void> {
  await page.evaluate(() => document.getElementById("live-text")!.textContent = "");
  await page.locator(".frame").first().scrollIntoViewIfNeeded();
  const { x, y, width, height } = (await page.locator(".frame").first().boundingBox())!;
  await page.mouse.move(x + (column + 0.5) / W * width, y + (row + 0.5) / H * height);
  await page.mouse.down();
  await page.mouse.up();
}

await testInBrowser(
  "reportHtml() lets the flow go on from what is painted, and undoes it",
  async (browser) => {
    await fromFile(browser, one, {}, async (page) => {
      await untilLive(page);
      const before = await course(page, 5, 5);
      await moveTo(page, 50);
      await page.getByRole("button", { name: "Paint", exact: true }).click();
      await page.locator("#brush-size").fill("1");
      await dot(page, 5, 5);
      await told(page, "Sample 1 painted at t = 0.50: 10 steps of euler, 10 evaluations, ");
      const painted = await course(page, 5, 5);

      // What the library makes of it.
      const { seed, ...how } = recorded;
      const whole = await network.flow(seed, how);
      const x = whole.image.slice(10 * H * W, 11 * H * W);
      x[5 * W + 5] = 1;
      const rest = await network.flowFrom(x, how, 10);
      assertClose(painted.t, before.t, 1e-6);
      assertClose(painted.value.slice(0, 10), before.value.slice(0, 10), rounding);
      assert.equal(painted.value[10], 1);
      assertClose(painted.value.slice(10), over(rest.image, 5, 5), rounding);
      assertClose((await course(page, 6, 5)).value.slice(10), over(rest.image, 6, 5), rounding);
      assert.ok(Math.abs(painted.value[20] - before.value[20]) > 0.05, "paint changes the end");

      // More paint at the same t is added; at another one the flow turns there.
      await page.locator("#brush input[value=black]").check();
      await dot(page, 2, 9);
      await page.waitForFunction(() => (document.getElementById("pixel-text")!.textContent ?? "") !== "");
      x[2 * W + 9] = 0;
      const both = await network.flowFrom(x, how, 10);
      await told(page, "Sample 1 painted at t = 0.50: ");
      assertClose((await course(page, 2, 9)).value.slice(10), over(both.image, 2, 9), rounding);

      // The space bar paints where the arrow keys point, with noise that nobody knows before.
      await page.locator("#brush input[value=noise]").check();
      await moveTo(page, 75);
      await page.locator(".frame").first().focus();
      await page.keyboard.press("ArrowDown");
      await page.keyboard.press("Space");
      await told(page, "Sample 1 painted at t = 0.75: 5 steps of euler");
      assert.notEqual((await course(page, 3, 9)).value[15], over(both.image, 3, 9)[5]);

      await page.getByRole("button", { name: "Undo the painting" }).click();
      assert.deepEqual(await course(page, 5, 5), before);
      assert.equal(await page.locator("#paint-undo").isVisible(), false);

      await moveTo(page, 100);
      await dot(page, 5, 5);
      await told(page, "At t = 1 no flow is left: move t back to paint.");
    });
  },
);

await testInBrowser(
  "reportHtml() draws the same noise through several runs, as far as they are live",
  async (browser) => {
    const other = await Network.of(4);
    const report = reportHtml(await liveReport({ a: network, b: other, bare: "its weights are too large" }));
    await fromFile(browser, report, {}, async (page) => {
      await untilLive(page);
      await page.locator("#live-steps").fill("3");
      await page.locator("#live-seed").fill("20");
      await page.locator("#live-many").click();
      const last = page.getByRole("button", { name: "Look at seed 35 of b" });
      await last.click(); // waits until it can be clicked
      assert.equal(await page.locator("#live-grid button:not([disabled]) canvas").count(), 32);
      assert.equal(await page.locator("#explorer-run").inputValue(), "1");
      const { image } = await other.flow(35, { solver: "heun", steps: 3 });
      assertClose((await course(page, 8, 1)).value, over(image, 8, 1), 1e-5);
      await page.getByRole("button", { name: "Look at seed 35 of a" }).click();
      const a = await network.flow(35, { solver: "heun", steps: 3 });
      assert.equal(a.image[0], image[0], "the same noise");
      assertClose((await course(page, 8, 1)).value, over(a.image, 8, 1), 1e-5);

      await page.locator("#explorer-run").selectOption("2");
      assert.equal(
        await text(page, "live-text"),
        "No samples are drawn in this page from this model: its weights are too large.",
      );
      assert.equal(await controls(page), false);
      await page.locator("#explorer-run").selectOption("0");
      assert.ok(await controls(page));
    });
  },
);

await testInBrowser("reportHtml() says why nothing is live, and shows what is recorded", async (browser) => {
  await fromFile(browser, reportHtml(await liveReport({ a: "it was told so" })), {}, async (page) => {
    await page.locator("#explorer").scrollIntoViewIfNeeded();
    await page.waitForFunction(() => document.getElementById("live-text")!.textContent !== "");
    assert.equal(await text(page, "live-text"), "No samples are drawn in this page: it was told so.");
    assert.equal(await controls(page), false);
    assert.equal((await course(page, 4, 7)).value.length, 21);
  });
  await fromFile(browser, one, { before: withoutDevices }, async (page) => {
    await untilLive(page);
    assert.match(
      await text(page, "live-text"),
      /^No samples are drawn in this page: Cannot open the CPU device: TypeError: no shared memory; nor is there a GPU: .*\.$/,
    );
    assert.equal(await controls(page), false);
    assert.equal(await page.locator("#paint").isVisible(), false);
    assert.equal((await course(page, 4, 7)).value.length, 21);
  });
});

await testInBrowser("reportHtml() goes on when live work fails", async (browser) => {
  const { runs } = await liveReport({ a: network });
  const live = { library, checkpoints: [new Uint8Array(4)] };
  await fromFile(browser, reportHtml({ runs, live }), {}, async (page) => {
    await untilLive(page);
    await page.locator("#live-draw").click();
    await told(page, "This went wrong: Cannot read the weights: ");
    assert.equal((await course(page, 4, 7)).value.length, 21);
  });
});

const checkpoint = new URL("../../../checkpoints/mnist_residual.safetensors", import.meta.url);

/** A report with the repository's own network, whose recorded sample is two snapshots. */
async function realReport(): Promise<string> {
  const still = {
    t: Float32Array.of(0, 1),
    image: new Float32Array(2 * 784),
    velocity: new Float32Array(784),
  };
  const evolutions = [{ ...still, shape: [2, 28, 28] as const }];
  const { paths: _, ...rest } = run("mnist", { evolutions });
  return reportHtml({ runs: [rest], live: { library, checkpoints: [await Deno.readFile(checkpoint)] } });
}

/** Draws a digit, and compares a line of pixels with what the library draws outside the page. */
async function drawDigit(page: Page, steps: number, tolerance: number): Promise<string> {
  const { model, shape } = await openCheckpoint(checkpoint);
  const x1 = await sample(model, { count: 1, shape, seed: 5, steps, solver: "heun" }).read();
  await untilLive(page);
  const words = await draw(page, 5, "heun", steps);
  await moveTo(page, 100);
  const values: number[] = [];
  await page.locator(".frame").first().focus();
  for (let column = 14; column < 24; column++) {
    await page.keyboard.press("ArrowRight");
    await page.waitForFunction(
      (start) => document.getElementById("pixel-text")!.textContent!.startsWith(start),
      `row 14, column ${column + 1}:`,
    );
    const [, sign, value] = /value ([+\u2212])(\d+\.\d+)/.exec(await text(page, "pixel-text"))!;
    values.push(sign === "+" ? Number(value) : -value);
  }
  const expected = [...x1.subarray(14 * 28 + 15, 14 * 28 + 25)].map((x) => (x + 1) / 2);
  assertClose(values, expected, tolerance);
  assert.ok(Math.max(...expected) > 0.5, "the line crosses the digit");
  return words;
}

await testInBrowser("reportHtml() draws what the library draws, from a trained network", async (browser) => {
  await fromFile(browser, await realReport(), {}, async (page) => {
    assert.match(await drawDigit(page, 20, 1e-3), /^Seed 5: 20 steps of heun, 40 evaluations, .* on CPU, 1/);
  });
});
