/// <reference lib="dom" />
/** Sampling with a trained network in a report. */

import assert from "node:assert/strict";
import { AdaptiveSampler, noise, openCheckpoint, sample } from "../../../models/mod.ts";
import { reportHtml } from "../../../viz/report/mod.ts";
import type { Page } from "../../browser.ts";
import { assertClose } from "../../testing.ts";
import { trainedCheckpoint, trainedReport, withLive } from "./live_data.ts";
import { draw, marks, moveTo, testReport, text, untilLive } from "./opened.ts";

/** Adaptive steps of the repository's network from the noise of a seed. */
async function trainedSteps(seed: number, tolerance: number) {
  const { model, shape } = await openCheckpoint(trainedCheckpoint);
  const sampler = new AdaptiveSampler(model, [1, ...shape], { rtol: tolerance, atol: tolerance });
  const { steps: [tried], evaluations } = await sampler.solve(noise(seed, [1, ...shape]));
  return { tried, evaluations };
}

/** Draws with an adaptive solver: the page shows taken and rejected steps. */
async function seeSteps(report: Page): Promise<void> {
  await untilLive(report);
  const strip = report.locator("#step-strip");
  assert.ok(!await strip.isVisible(), "the solver of the recorded sample is unknown");
  await report.locator("#live-solver").selectOption({ label: "dopri5, own steps" });
  await report.locator("#live-tolerance").selectOption("0.001");
  await report.locator("#live-seed").fill("1");
  await report.locator("#live-draw").click();
  await strip.waitFor({ state: "visible" });

  const { tried, evaluations } = await trainedSteps(1, 1e-3);
  for (const kind of ["step", "rejected"] as const) {
    const expected = tried.filter(({ accepted }) => accepted === (kind === "step"));
    assert.ok(expected.length > 0, kind);
    const found = await marks(report, "#step-strip", kind);
    assertClose(found.flat(), expected.flatMap(({ t, dt }) => [100 * t, 100 * (t + dt)]), 0.1);
  }
  const count = (accepted: boolean) => tried.filter((step) => step.accepted === accepted).length;
  const words = `${count(true)} taken \\(bars\\), .* long; ${
    count(false)
  } rejected \\(dashes\\), ${evaluations} `;
  assert.match(await text(report, "step-strip"), new RegExp(words));
  await moveTo(report, 50);
  assert.equal(await strip.locator(".cursor").getAttribute("x1"), "50.000%");

  await draw(report, 8, "heun", 3);
  await strip.waitFor({ state: "hidden" });
}

/** Draws a digit, and compares a row of pixels with the library's. */
async function drawDigit(page: Page, steps: number, tolerance: number): Promise<string> {
  const { model, shape } = await openCheckpoint(trainedCheckpoint);
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

/** Stops an adaptive solver. */
async function stopDrawing(page: Page): Promise<void> {
  await untilLive(page);
  await page.locator("#live-solver").selectOption({ label: "bosh3, own steps" });
  await page.locator("#live-tolerance").selectOption("0.00001");
  await page.locator("#live-many").click();
  await page.locator("#live-stop").click(); // waits until it is there
  assert.equal(await text(page, "live-text"), "Stopped");
  await page.locator("#live-stop").waitFor({ state: "hidden" });
  assert.equal(await page.locator("#live-grid button:not([disabled]) canvas").count(), 0);
  assert.match(await draw(page, 5, "heun", 2), /^Seed 5: 2 steps of heun, 4 evaluations, /);
}

/** Stops measuring bits per dimension. */
async function stopMeasuring(report: Page): Promise<void> {
  await untilLive(report);
  await report.locator("#bits-examples button").evaluate((button: HTMLElement) => {
    for (let i = 0; i < 20; i++) button.click(); // some seconds of work
  });
  await report.locator("#bits-progress").waitFor({ state: "visible" });
  await report.locator("#bits-stop").click();
  await report.waitForFunction(() => document.getElementById("bits-text")!.textContent === "Stopped");
  await report.locator("#bits-stop").waitFor({ state: "hidden" });
  assert.ok(!await report.locator("#bits-progress").isVisible());
  assert.equal(await text(report, "live-text"), "Stopped");
}

const digits = { shape: [1, 1, 28, 28] as const, image: new Float32Array(784).fill(0.5) };

await testReport(
  "reportHtml() samples from a trained network, and can be stopped",
  reportHtml(withLive(await trainedReport(), { tests: digits })),
  {
    seeSteps,
    async drawDigit(page) {
      assert.match(
        await drawDigit(page, 20, 1e-3),
        /^Seed 5: 20 steps of heun, 40 evaluations, .* on CPU, 1/,
      );
    },
    stopDrawing,
    stopMeasuring,
  },
);
