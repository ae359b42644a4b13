/// <reference lib="dom" />
/** What tests do on the page of a report with networks in it. */

import { size } from "./made_up.ts";
import { type Report, see, text } from "./opened.ts";

const { H, W } = size;

/** The page's numbers of recorded samples are rounded. */
export const rounding = 1e-3;

/** Waits until the controls to sample with are there, or a line says why not. */
export async function untilLive(report: Report): Promise<void> {
  await report.locator("#explorer").scrollIntoViewIfNeeded();
  await report.waitForFunction(() => document.documentElement.dataset.live === "ready");
}

/** Draws the noise of a seed and follows it; waits for the words on it. */
export async function draw(report: Report, seed: number, solver: string, steps: number): Promise<string> {
  await report.locator("#live-seed").fill(String(seed));
  await report.locator("#live-solver").selectOption(solver);
  await report.locator("#live-steps").fill(String(steps));
  await report.locator("#live-draw").click();
  await told(report, `Seed ${seed}:`);
  return await text(report, "live-text");
}

/** Waits until the line under the controls begins with some words. */
export async function told(report: Report, words: string): Promise<void> {
  await report.waitForFunction(
    (words) => document.getElementById("live-text")!.textContent!.startsWith(words),
    words,
  );
}

/** Value and velocity over t of a pixel of the sample on the screen, and the times. */
export async function pixel(report: Report, row: number, column: number) {
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
          resolve({ t: value.x, value: value.y, velocity: velocity.y });
        })
      )
    )
  );
}

/** Where a pixel lies in the frame of the sample, in CSS pixels. */
async function positionOf(report: Report, row: number, column: number) {
  const { width, height } = (await report.locator(".frame").last().boundingBox())!;
  return { x: (column + 0.5) / W * width, y: (row + 0.5) / H * height };
}

interface PlotData {
  readonly data: { x: number[]; y: number[] }[];
}

/** A pixel over the snapshots of a field, f32[M, H, W]. */
export const over = (field: Float32Array, row: number, column: number) =>
  [...field].filter((_, i) => i % (H * W) === row * W + column);

/** Whether there are controls to sample with. */
export const controls = (report: Report) => report.locator("#live-draw").isVisible();
