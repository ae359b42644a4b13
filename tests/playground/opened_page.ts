/// <reference lib="dom" />
/** Helpers for tests of an open playground. */

import { playgroundDigits } from "../../experiments/serve.ts";
import type { DigitsParts, LabelledDigits } from "../../playground/digits_parts.ts";
import { DigitsTraining } from "../../playground/digits_training.ts";
import { openDevice, PlaneTraining } from "../../playground/plane_training.ts";
import { playgroundHtml } from "../../playground/playground_html.ts";
import { settingsOf } from "../../playground/settings.ts";
import * as flow from "../../web/mod.ts";
import { library } from "../../web/flow_text.js";
import type { Page } from "../browser.ts";
import { picture, text } from "../viz/report/reader.ts";

/** The playground's digits, but fewer images: enough to see that the page uses them. */
export async function digitsOfPage(trained = 300, measured = 8): Promise<DigitsParts> {
  const { train, heldOut, ...networks } = await playgroundDigits();
  const first = ({ images, labels }: LabelledDigits, count: number) => ({
    images: images.subarray(0, 784 * count),
    labels: labels.subarray(0, count),
  });
  return { ...networks, train: first(train, trained), heldOut: first(heldOut, measured) };
}

let made: Promise<{ readonly digits: DigitsParts; readonly html: string }> | undefined;

/** The page with its digits, made once for all test files of a program. */
export function playground(): Promise<{ readonly digits: DigitsParts; readonly html: string }> {
  return made ??= digitsOfPage().then((digits) => ({ digits, html: playgroundHtml({ library, digits }) }));
}

/** Changes the part of the address after #, and waits until the page has applied it. */
export async function goTo(page: Page, hash: string): Promise<void> {
  await page.evaluate((hash) =>
    new Promise((resolve) => {
      if (location.hash === hash) return resolve(undefined);
      addEventListener("hashchange", resolve, { once: true });
      location.hash = hash;
    }), hash);
}

/** Performs an action, and waits until the text of an element has changed. */
export async function changing(page: Page, id: string, act: () => Promise<void>): Promise<void> {
  const before = await text(page, id);
  await act();
  await page.waitForFunction(([id, before]) => document.getElementById(id)!.innerText !== before, [
    id,
    before,
  ]);
}

/** The training at an address, in Deno, which has yet to train. */
export async function trainingInDeno(address: string): Promise<DigitsTraining | PlaneTraining> {
  const { settings } = settingsOf(address);
  await openDevice(flow, 1);
  return settings.step === "digits"
    ? new DigitsTraining(flow, (await playground()).digits, settings)
    : new PlaneTraining(flow, settings);
}

/** The digest of the training at an address, in Deno. */
export async function digestInDeno(address: string): Promise<string> {
  const training = await trainingInDeno(address);
  while (!training.done) await training.train(1000);
  return await training.digest();
}

/** Waits until the page's training is done; returns the digest. */
export async function digestOfPage(page: Page): Promise<string> {
  await page.waitForFunction(() => document.documentElement.dataset.digest);
  return await page.evaluate(() => document.documentElement.dataset.digest!);
}

/** The numbers that a step of the story shows. */
export async function readingOf(page: Page, step: string): Promise<Readonly<Record<string, number>>> {
  const values = await page.evaluate(
    (step) => ({ ...document.getElementById(`${step}-text`)!.dataset }),
    step,
  );
  return Object.fromEntries(Object.entries(values).map(([name, value]) => [name, Number(value)]));
}

/** Waits until a step of the story shows a number of this name, or this number. */
export async function untilReading(page: Page, step: string, name: string, value?: number): Promise<void> {
  await page.waitForFunction(
    ([step, name, value]) => {
      const shown = document.getElementById(`${step}-text`)!.dataset[name];
      return shown !== undefined && (value === undefined || Number(shown) === value);
    },
    [step, name, value] as const,
  );
}

/** The settings in the address of a page. */
export const hashOf = (page: Page) => page.evaluate(() => location.hash);

/** Drags the mouse through places of the plane, from 0 to 1 from its left and top edge; `moved` is called before its release. */
export async function stroke(
  page: Page,
  places: readonly (readonly [number, number])[],
  moved?: () => Promise<void>,
) {
  const { x, y, width } = (await page.locator("#plane").boundingBox())!;
  for (const [n, [right, down]] of places.entries()) {
    await page.mouse.move(x + right * width, y + down * width, { steps: 1 + 7 * Math.min(n, 1) });
    if (n === 0) await page.mouse.down();
  }
  await moved?.();
  await page.mouse.up();
}

/** The pixels of the plane. */
export const pixels = (page: Page) => picture(page, "plane");

/** Waits until a canvas, by default the plane, shows none of these pictures. */
export const untilOther = (page: Page, pictures: readonly string[], id = "plane") =>
  page.waitForFunction(
    ([id, pictures]) => !pictures.includes((document.getElementById(id) as HTMLCanvasElement).toDataURL()),
    [id, pictures] as const,
  );

/** A script for the start of a page: its animations run 8 times as fast, in fewer frames. */
export function hurrying(): void {
  Object.assign(globalThis, {
    requestAnimationFrame: (draw: FrameRequestCallback) => setTimeout(() => draw(8 * performance.now()), 50),
    cancelAnimationFrame: clearTimeout,
  });
}
