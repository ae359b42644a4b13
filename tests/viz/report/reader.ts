/// <reference lib="dom" />
/** What readers of a report do and see in Chromium: functions of an open page, which `opened.ts` makes its methods. */

import assert from "node:assert/strict";
import type { Page } from "../../browser.ts";
import { size } from "./made_up.ts";

const { H, W } = size;

/** Opens what an element is folded into, and scrolls to it, which draws it. */
export async function see(page: Page, id: string): Promise<void> {
  await page.evaluate((id) => {
    const folded = document.getElementById(id)!.closest("details");
    if (folded) folded.open = true;
  }, id);
  await page.locator(`#${id}`).scrollIntoViewIfNeeded();
  await page.waitForSelector(`#${id}[data-drawn]`);
  await untilDrawn(page);
}

/** Waits until Plotly has drawn all changes, of charts on the screen and others. */
export async function untilDrawn(page: Page): Promise<void> {
  await twoFrames(page);
  await page.waitForFunction(() =>
    document.documentElement.dataset.drawing === "0" &&
    [...document.querySelectorAll<HTMLElement>(".chart")].every((chart) =>
      chart.dataset.drawn || !chart.clientWidth
    )
  );
}

/** The picture of a canvas as a data URL. */
export function picture(page: Page, id: string): Promise<string> {
  return page.evaluate((id) => (document.getElementById(id) as HTMLCanvasElement).toDataURL(), id);
}

/** Moves the slider of t to a position in [0, 100]. */
export async function moveTo(page: Page, position: number): Promise<void> {
  await page.locator("#time").fill(String(position));
  await untilDrawn(page);
}

/** Waits until changes are drawn. */
export const twoFrames = (page: Page) =>
  page.evaluate(() => new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve))));

/** The parts of a drawn chart that tests read. */
interface Drawn extends HTMLElement {
  readonly _fullData: readonly Record<string, unknown>[];
  readonly _fullLayout: Record<"xaxis" | "yaxis", { _offset: number; l2p(value: number): number }>;
}

/** A trace of a chart, with the attributes that Plotly gave it. */
export interface DrawnTrace {
  readonly x: number[];
  readonly y: number[];
  readonly name: string;
  readonly visible: boolean | "legendonly";
  readonly color: string;
  readonly symbol: string | string[];
}

/** The traces of a chart. */
export function tracesOf(page: Page, id: string): Promise<DrawnTrace[]> {
  return page.evaluate((id) =>
    (document.getElementById(id) as Drawn)._fullData.map((trace) => {
      const { x = [], y = [], name, visible, line, marker } = trace as Record<string, never>;
      const { color, symbol } = Object(marker);
      return {
        name,
        visible,
        symbol,
        color: Object(line).color ?? color,
        x: Array.from(x),
        y: Array.from(y),
      };
    }), id);
}

/** The position of a point of a chart in the page's window, in pixels. */
export function placeInChart(page: Page, id: string, x: number, y: number): Promise<[number, number]> {
  return page.evaluate(([id, x, y]) => {
    const chart = document.getElementById(id) as Drawn;
    const { left, top } = chart.getBoundingClientRect();
    const { xaxis, yaxis } = chart._fullLayout;
    return [left + xaxis._offset + xaxis.l2p(x), top + yaxis._offset + yaxis.l2p(y)] as [number, number];
  }, [id, x, y] as const);
}

/** Moves the pointer to a point of the plane, and waits for the page's text on it. */
export async function pointInPlane(page: Page, x: number, y: number, expected: string): Promise<void> {
  const [left, top] = await placeInChart(page, "plane-chart", x, y);
  await page.mouse.move(left + 2, top);
  await page.mouse.move(left, top);
  await untilText(page, "plane-text", new RegExp(`^${expected}$`));
  await page.waitForFunction((expected) => {
    const shown = document.querySelector("#plane-chart .hovertext")?.textContent;
    return shown?.replaceAll(/\s+/g, " ").startsWith(expected);
  }, expected);
}

/** The text of an element. */
export function text(page: Page, id: string): Promise<string> {
  return page.locator(`#${id}`).innerText();
}

/** The texts of the options of a select. */
export function optionsOf(page: Page, id: string): Promise<string[]> {
  return page.locator(`#${id} option`).allTextContents();
}

/** Waits until the page shows all its controls for sampling, or a line that explains why it cannot. */
export async function untilLive(page: Page): Promise<void> {
  await page.locator("#explorer").scrollIntoViewIfNeeded();
  await page.waitForFunction(() => document.documentElement.dataset.live === "ready");
  await page.evaluate(() => {
    const more = document.getElementById("live-more") as HTMLDetailsElement | null;
    if (more) more.open = true;
  });
}

/** Sets controls for sampling: selects, by value or label, and other fields. */
export async function set(page: Page, values: Readonly<Record<string, string | number>>): Promise<void> {
  for (const [name, value] of Object.entries(values)) {
    const control = page.locator(`#live-${name}`);
    const isSelect = await control.evaluate(({ tagName }) => tagName === "SELECT");
    await (isSelect ? control.selectOption(`${value}`) : control.fill(`${value}`));
  }
}

/** Draws a sample of a seed with a solver and steps; returns the page's text about it. */
export async function draw(page: Page, seed: number, solver: string, steps: number): Promise<string> {
  await set(page, { solver, steps });
  return await drawSeed(page, seed);
}

/** Draws a sample of a seed with the current controls; returns the page's text about it. */
export async function drawSeed(page: Page, seed: number): Promise<string> {
  await set(page, { seed });
  await clearText(page);
  await page.locator("#live-draw").click();
  await told(page, `Seed ${seed}:`);
  return await text(page, "live-text");
}

/** Empties the text under the controls. */
export async function clearText(page: Page): Promise<void> {
  await page.evaluate(() => document.getElementById("live-text")!.textContent = "");
}

/** Waits until the text under the controls starts with `words`. */
export async function told(page: Page, words: string): Promise<void> {
  await page.waitForFunction(
    (words) => document.getElementById("live-text")!.textContent!.startsWith(words),
    words,
  );
}

/** Waits until the text of an element matches. */
export async function untilText(page: Page, id: string, pattern: RegExp): Promise<void> {
  await page.waitForFunction(
    ([id, source]) => new RegExp(source).test(document.getElementById(id)!.innerText),
    [id, pattern.source],
  ).catch(async () => assert.match(await text(page, id), pattern));
}

/** Waits until the page's text is about this pixel. */
export async function untilAt(page: Page, row: number, column: number): Promise<void> {
  await page.waitForFunction(
    (start) => document.getElementById("pixel-text")!.textContent!.startsWith(start),
    `row ${row}, column ${column}`,
  );
}

/** Times, values and velocities of a pixel of the current sample. */
export async function pixel(page: Page, row: number, column: number) {
  const frame = page.locator(".frame").last();
  const { width, height } = (await frame.boundingBox())!;
  await page.evaluate(() => document.getElementById("pixel-text")!.textContent = "");
  await frame.click({ position: { x: (column + 0.5) / W * width, y: (row + 0.5) / H * height } });
  await untilAt(page, row, column);
  await see(page, "pixel-chart");
  await page.waitForFunction(() => {
    const [text, chart] = ["pixel-text", "pixel-chart"].map((id) => document.getElementById(id)!.dataset.key);
    return text === chart;
  });
  await untilDrawn(page);
  const [value, , velocity] = await tracesOf(page, "pixel-chart");
  return { t: value.x, value: value.y, velocity: velocity.y };
}

/** Whether the page shows controls for sampling. */
export function controls(page: Page): Promise<boolean> {
  return page.locator("#live-draw").isVisible();
}

/** Switches the brush on and makes it one pixel wide. */
export async function takeBrush(page: Page): Promise<void> {
  await page.getByRole("button", { name: "Paint", exact: true }).click();
  await page.locator("#brush-size").fill("1");
}

/** Start and end of each step of an adaptive solver in a chart. */
export async function stepsIn(page: Page, place: string, kind: "taken" | "rejected") {
  await page.locator(`${place} .chart[data-drawn]`).waitFor();
  await untilDrawn(page);
  return await page.locator(`${place} .chart`).evaluate((chart, kind) => {
    const { base, x } = (chart as Drawn)._fullData.find(({ name }) => name === kind) as Record<
      "base" | "x",
      number[]
    >;
    return Array.from(base, (start, i) => [start, start + x[i]] as [number, number]);
  }, kind);
}

/** Paints a dot at the selected pixel with the keyboard. */
export async function paintDot(page: Page): Promise<void> {
  await page.locator(".frame").first().focus();
  await page.keyboard.press("Space");
}
