/// <reference lib="dom" />
/** Sampling with the networks in a report. */

import assert from "node:assert/strict";
import { reportHtml } from "../../../viz/report/mod.ts";
import type { Library } from "../../../viz/report/page/engine.ts";
import * as web from "../../../web/mod.ts";
import { type Page, testInBrowser, withoutDevices } from "../../browser.ts";
import { assertClose } from "../../testing.ts";
import { liveReport, Network, recorded, withLive } from "./live_data.ts";
import { hostile } from "./made_up.ts";
import {
  controls,
  draw,
  drawSeed,
  inFrame,
  marks,
  over,
  pixel,
  type Report,
  rounding,
  testReport,
  text,
  told,
  untilLive,
} from "./opened.ts";

/** Compiles only if the library has all that pages use. */
const offered: Library = web;

Deno.test("web/mod.ts exports what reports use", () => {
  assert.deepEqual(Object.keys(offered.solvers), Object.keys(web.solvers));
});

const network = await Network.of(3);
const one = reportHtml(await liveReport({ [hostile]: network }));

/** Draws recorded noise again: the trajectory is the recorded one. */
async function drawAgain(report: Report): Promise<void> {
  await untilLive(report);
  assert.ok(await controls(report), await text(report, "live-text"));
  const { seed, solver, steps } = recorded;
  const before = await pixel(report, 4, 7);
  assert.match(
    await draw(report, seed, solver, steps),
    /^Seed 7: 20 steps of euler, 20 evaluations, \d{1,3}(,\d{3})* ms on CPU, 1 thread\.$/,
  );
  assert.equal(await report.locator("#live-seed").inputValue(), "8", "the next press draws other noise");
  const live = await pixel(report, 4, 7);
  assertClose(live.t, before.t, 1e-6);
  assertClose(live.value, before.value, rounding);
  assertClose(live.velocity, before.velocity, rounding);

  await drawOtherwise(report);
  assert.equal(await report.locator("#explorer-samples button").count(), 3);
}

/** Draws with another solver: the trajectory is that of the library. */
async function drawOtherwise(report: Report): Promise<void> {
  const { seed } = recorded;
  assert.match(await draw(report, seed, "heun", 5), /5 steps of heun, 10 evaluations, /);
  const other = await network.flow(seed, { solver: "heun", steps: 5 });
  const now = await pixel(report, 3, 2);
  assertClose(now.value, over(other.image, 3, 2), 1e-5);
  assertClose(now.velocity, over(other.velocity, 3, 2), 1e-5);
  assert.match(
    await text(report, "flow-times"),
    /^Seed 7; drawn in this page by 5 steps of heun, 10 evaluations; snapshot/,
  );
}

/** Draws with an adaptive solver: the page shows its true cost. */
async function letSolverChoose(page: Page): Promise<void> {
  await untilLive(page);
  const fields = () =>
    Promise.all(["steps", "times", "tolerance"].map((id) => page.locator(`#live-${id}`).isVisible()));
  assert.deepEqual(await fields(), [true, true, false]);
  await page.locator("#live-solver").selectOption({ label: "dopri5, own steps" });
  assert.deepEqual(await fields(), [false, false, true]);
  await page.locator("#live-tolerance").selectOption("0.0001");
  await drawSeed(page, 7);

  const expected = await network.ownSteps(7, 1e-4);
  const said = `Seed 7: dopri5 with tolerance 0.0001, ${expected.evaluations} evaluations, `;
  assert.ok((await text(page, "live-text")).startsWith(said), await text(page, "live-text"));
  const words =
    `^Seed 7; drawn in this page by dopri5 with tolerance 0.0001, ${expected.evaluations} evaluations; `;
  assert.match(await text(page, "flow-times"), new RegExp(words));
  const { t, value, velocity } = await pixel(page, 4, 7);
  assertClose(t, Array.from({ length: 21 }, (_, i) => i / 20), 1e-6);
  assertClose(value, over(expected.image, 4, 7), 1e-4);
  assertClose(velocity, over(expected.velocity, 4, 7), 1e-2);

  await page.locator("#live-tolerance").selectOption("0.1");
  await page.locator("#live-many").click();
  await told(page, "Seeds 8 to 23: dopri5 with tolerance 0.1, ");
  assert.match(await text(page, "live-text"), /, \d+ evaluations of 16 images, /);
}

/** Draws with unequal steps. */
async function drawAtOtherTimes(page: Page): Promise<void> {
  await untilLive(page);
  await page.locator("#live-times").selectOption("quadratic");
  assert.match(await draw(page, 7, "bosh3", 4), /^Seed 7: 4 steps of bosh3, 13 evaluations, /);
  assertClose((await pixel(page, 4, 7)).t, web.gridTimes(4, "quadratic"), 1e-6);
}

const tolerance = 1e-4;

/** Draws sixteen samples with an adaptive solver: each has a row of steps. */
async function seeStepRows(report: Page): Promise<void> {
  await untilLive(report);
  await report.locator("#live-solver").selectOption({ label: "dopri5, own steps" });
  await report.locator("#live-tolerance").selectOption(`${tolerance}`);
  await report.locator("#live-seed").fill("7");
  await report.locator("#live-many").click();
  await report.locator("#live-grid .strip").waitFor();
  await told(report, "Seeds 7 to 22:");
  const found = await marks(report, "#live-grid", "step");
  assert.equal(found.filter(([from]) => from === 0).length, 16, "each row begins with noise");
  assert.equal(found.filter(([, to]) => Math.abs(to - 100) < 1e-2).length, 16, "and ends with an image");
  const { tried } = await network.ownSteps(7, tolerance);
  const taken = tried.filter(({ accepted }) => accepted);
  assertClose(
    found.slice(0, taken.length).flat(),
    taken.flatMap(({ t, dt }) => [100 * t, 100 * (t + dt)]),
    2e-2, // its neighbours change nothing
  );

  await report.getByRole("button", { name: "Look at seed 7", exact: true }).click();
  await report.locator("#step-strip").waitFor({ state: "visible" });
  assert.equal((await marks(report, "#step-strip", "step")).length, taken.length);

  await report.locator("#live-solver").selectOption("heun");
  await report.locator("#live-many").click();
  await told(report, "Seeds 23 to 38:");
  assert.equal(await report.locator("#live-grid .strip").count(), 0);
}

/** Enters numbers: empty and wrong fields draw nothing, Enter draws. */
async function enterNumbers(page: Page): Promise<void> {
  await untilLive(page);
  const [seed, steps] = [page.locator("#live-seed"), page.locator("#live-steps")];
  const before = await page.locator("#explorer-samples button").count();
  const expected = (name: string, is: string, range: string) =>
    `${name} ${is} (expected a whole number from ${range}).`;
  const said = async (button = "#live-draw") => {
    await page.locator(button).click();
    return await text(page, "live-text");
  };
  await seed.fill("");
  assert.equal(await said(), expected("Seed", "is empty", "0 to 4294967295"));
  assert.equal(await said("#live-many"), expected("Seed", "is empty", "0 to 4294967295"));
  assert.equal(await seed.getAttribute("aria-invalid"), "true");
  await seed.pressSequentially("-e");
  assert.equal(await said(), expected("Seed", "is not a number", "0 to 4294967295"));
  await seed.fill("-1");
  await steps.fill("2.5");
  assert.equal(
    await said(),
    `${expected("Seed", "is -1", "0 to 4294967295")} ${expected("Steps", "is 2.5", "1 to 1000")}`,
  );
  assert.equal(await page.locator("#explorer-samples button").count(), before);
  await seed.fill("5");
  await steps.fill("2");
  await seed.press("Enter");
  await told(page, "Seed 5:");
  assert.equal(await seed.getAttribute("aria-invalid"), "false");
  await steps.press("Enter");
  await told(page, "Seed 6: 2 steps of heun, 4 evaluations, "); // the same sampler counts from 0 again

  // The largest allowed number fits its field.
  const cut = await page.evaluate(() =>
    [...document.querySelectorAll<HTMLInputElement>("input[type=number]")].filter((field) => {
      field.value = field.max;
      return field.scrollWidth > field.clientWidth;
    }).map(({ id }) => id)
  );
  assert.deepEqual(cut, []);
}

await testReport("reportHtml() samples live from a file", one, {
  drawAgain,
  drawAtOtherTimes,
  letSolverChoose,
  seeStepRows,
  enterNumbers,
});

await testInBrowser("reportHtml() samples live in a sandboxed frame", async (browser) => {
  await inFrame(browser, one, async (report) => {
    await untilLive(report);
    await drawOtherwise(report);
  });
});

const other = await Network.of(4);

await testReport(
  "reportHtml() draws the same noise with all runs that have a network",
  reportHtml(await liveReport({ a: network, b: other, bare: "its weights are too large" })),
  async (page) => {
    await untilLive(page);
    await page.locator("#live-steps").fill("3");
    await page.locator("#live-seed").fill("20");
    await page.locator("#live-many").click();
    const last = page.getByRole("button", { name: "Look at seed 35 of b" });
    await last.click(); // waits until it can be clicked
    assert.equal(await page.locator("#live-grid button:not([disabled]) canvas").count(), 32);
    assert.equal(await page.locator("#explorer-run").inputValue(), "1");
    const { image } = await other.flow(35, { solver: "heun", steps: 3 });
    assertClose((await pixel(page, 8, 1)).value, over(image, 8, 1), 1e-5);
    await page.getByRole("button", { name: "Look at seed 35 of a" }).click();
    const a = await network.flow(35, { solver: "heun", steps: 3 });
    assert.equal(a.image[0], image[0], "the same noise");
    assertClose((await pixel(page, 8, 1)).value, over(a.image, 8, 1), 1e-5);

    await page.locator("#explorer-run").selectOption("2");
    assert.equal(
      await text(page, "live-text"),
      "No samples are drawn in this page from this model: its weights are too large.",
    );
    assert.equal(await controls(page), false);
    await page.locator("#explorer-run").selectOption("0");
    assert.ok(await controls(page));

    // A run without a network has no brush: a click holds a pixel.
    await page.getByRole("button", { name: "Paint", exact: true }).click();
    await page.locator("#explorer-run").selectOption("2");
    const before = await text(page, "live-text");
    await pixel(page, 5, 4);
    await page.locator(".frame").first().click();
    assert.equal(await text(page, "live-text"), before);
    await page.locator("#explorer-run").selectOption("0");
    await page.locator("#paint[aria-pressed=false]").waitFor();
  },
);

/** Checks that the page shows recorded samples only. */
async function assertRecorded(page: Report, words: RegExp): Promise<void> {
  await page.locator("#explorer").scrollIntoViewIfNeeded();
  await page.waitForFunction(() => document.getElementById("live-text")!.textContent !== "");
  assert.match(await text(page, "live-text"), words);
  assert.equal(await controls(page), false);
  assert.equal(await page.locator("#paint").isVisible(), false);
  assert.equal((await pixel(page, 4, 7)).value.length, 21);
}

await testReport(
  "reportHtml() says why a report has no network, and shows recorded samples",
  reportHtml(await liveReport({ a: "it was told so" })),
  (page) => assertRecorded(page, /^No samples are drawn in this page: it was told so\.$/),
);

await testReport(
  "reportHtml() says why a page has no device, and shows recorded samples",
  one,
  (page) =>
    assertRecorded(
      page,
      /^No samples are drawn in this page: Cannot open the CPU device: TypeError: no shared memory; nor is there a GPU: .*\.$/,
    ),
  { before: withoutDevices },
);

await testReport(
  "reportHtml() keeps working after an error in sampling",
  reportHtml(withLive(await liveReport({ a: network }), { checkpoint: new Uint8Array(4) })),
  async (page) => {
    await untilLive(page);
    await page.locator("#live-draw").click();
    await told(page, "Error: Cannot read the weights: ");
    assert.equal((await pixel(page, 4, 7)).value.length, 21);
  },
);
