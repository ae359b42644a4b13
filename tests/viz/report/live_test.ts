/// <reference lib="dom" />
/** Sampling and painting with the network in a report. */

import assert from "node:assert/strict";
import { AdaptiveSampler, noise, openCheckpoint } from "../../../models/mod.ts";
import { reportHtml } from "../../../viz/report/mod.ts";
import type { Library } from "../../../viz/report/page/engine.ts";
import * as web from "../../../web/mod.ts";
import { assertClose } from "../../testing.ts";
import { library, liveRun, Network, recorded } from "./live_data.ts";
import { hostile, run, size } from "./made_up.ts";
import { over, type Page, rounding, testReport } from "./opened.ts";

/** Compiles only if the library has everything that pages use. */
const offered: Library = web;

Deno.test("web/mod.ts exports what reports use", () => {
  assert.deepEqual(Object.keys(offered.solvers), Object.keys(web.solvers));
});

const { H, W } = size;
const P = H * W;
const network = await Network.of(3);
const { seed, ...how } = recorded;
const one = reportHtml({ runs: [await liveRun(hostile, network)], library });

/** Draws with several solvers: the trajectories equal the library's. */
async function drawSamples(page: Page): Promise<void> {
  await page.untilLive();
  assert.ok(await page.controls(), await page.text("live-text"));
  const said = await page.draw(seed, "heun", 5);
  assert.match(said, /^Seed 7: 5 steps of heun, 9 evaluations, [\d,]+ ms on CPU, 1 thread\.$/);
  assert.equal(await page.locator("#live-seed").inputValue(), "8", "the next press draws other noise");
  const expected = await network.flow(seed, { solver: "heun", steps: 5 });
  const { value, velocity } = await page.pixel(3, 2);
  assertClose(value, over(expected.image, 3, 2), 1e-5);
  assertClose(velocity, over(expected.velocity, 3, 2), 1e-5);
  const drawn = /^Seed 7; drawn in this page by 5 steps of heun, 9 evaluations; snapshot/;
  await page.untilText("flow-times", drawn);
  assert.equal(await page.locator("#explorer-samples button").count(), 2);
  await page.set({ times: "quadratic" });
  assert.match(await page.draw(7, "bosh3", 4), /^Seed 7: 4 steps of bosh3, 10 evaluations, /);
  assertClose((await page.pixel(4, 7)).t, web.gridTimes(4, "quadratic"), 1e-6);
  await page.set({ times: "uniform" });
}

/** Draws one and sixteen samples with an adaptive solver: the page shows its actual cost and steps. */
async function letSolverChoose(page: Page): Promise<void> {
  const fields = () =>
    Promise.all(["steps", "times", "tolerance"].map((id) => page.locator(`#live-${id}`).isVisible()));
  assert.deepEqual(await fields(), [true, true, false]);
  await page.set({ solver: "dopri5, adaptive steps" });
  assert.deepEqual(await fields(), [false, false, true]);
  await page.set({ tolerance: 0.0001 });
  await page.drawSeed(7);
  const { evaluations, tried, image } = await network.ownSteps(7, 0.0001);
  const cost = `dopri5 with tolerance 0.0001, ${evaluations} evaluations`;
  await page.untilText("flow-times", new RegExp(`^Seed 7; drawn in this page by ${cost}; `));
  const drawn = await page.pixel(4, 7);
  assertClose(drawn.t, Array.from({ length: 21 }, (_, i) => i / 20), 1e-6);
  assertClose(drawn.value, over(image, 4, 7), 1e-4);

  await page.set({ seed: 7 });
  await page.locator("#live-many").click();
  await page.locator("#live-grid .strip").waitFor();
  await page.told("Seeds 7 to 22: dopri5 with tolerance 0.0001, ");
  const found = await page.stepsIn("#live-grid", "taken");
  assert.equal(found.filter(([from]) => from === 0).length, 16, "each row starts with noise");
  assert.equal(found.filter(([, to]) => Math.abs(to - 1) < 1e-4).length, 16, "and ends with an image");
  await page.getByRole("button", { name: "Show seed 7", exact: true }).click();
  await page.locator("#step-strip").waitFor({ state: "visible" });
  const taken = tried.filter(({ accepted }) => accepted);
  assert.equal((await page.stepsIn("#step-strip", "taken")).length, taken.length);

  await page.set({ solver: "heun" });
  await page.locator("#live-many").click();
  await page.told("Seeds 23 to 38: 4 steps of heun, 7 evaluations of 16 images, ");
  assert.equal(await page.locator("#live-grid .strip").count(), 0);
}

/** Enters numbers: nothing is drawn while a field is empty or invalid; Enter draws. */
async function enterNumbers(page: Page): Promise<void> {
  const [seed, steps] = [page.locator("#live-seed"), page.locator("#live-steps")];
  const before = await page.locator("#explorer-samples button").count();
  const inRange = "(expected a whole number from 0 to 4294967295).";
  const cases: [value: string, steps: string, says: string, button?: string][] = [
    ["", "5", `Seed is empty ${inRange}`],
    ["", "5", `Seed is empty ${inRange}`, "#live-many"],
    ["-e", "5", `Seed is not a number ${inRange}`],
    ["-1", "2.5", `Seed is -1 ${inRange} Steps is 2.5 (expected a whole number from 1 to 1000).`],
  ];
  for (const [value, count, says, button = "#live-draw"] of cases) {
    await seed.fill("");
    await seed.pressSequentially(value);
    await steps.fill(count);
    await page.locator(button).click();
    assert.equal(await page.text("live-text"), says);
    assert.equal(await seed.getAttribute("aria-invalid"), "true");
  }
  assert.equal(await page.locator("#explorer-samples button").count(), before);
  await page.set({ seed: 5, steps: 2 });
  await seed.press("Enter");
  await page.told("Seed 5:");
  assert.equal(await seed.getAttribute("aria-invalid"), "false");
  await steps.press("Enter");
  await page.told("Seed 6: 2 steps of heun, 3 evaluations, "); // the same sampler counts from 0 again
  const cut = await page.evaluate(() =>
    [...document.querySelectorAll<HTMLInputElement>("input[type=number]")].filter((field) => {
      field.value = field.max;
      return field.scrollWidth > field.clientWidth;
    }).map(({ id }) => id)
  );
  assert.deepEqual(cut, [], "the largest number fits its field");
}

/** Clears the page's text, then paints a dot with the mouse. */
async function dot(page: Page, row: number, column: number): Promise<void> {
  await page.clearText();
  await page.locator(".frame").first().scrollIntoViewIfNeeded();
  const { x, y, width, height } = (await page.locator(".frame").first().boundingBox())!;
  await page.mouse.move(x + (column + 0.5) / W * width, y + (row + 0.5) / H * height);
  await page.mouse.down();
  await page.mouse.up();
}

/** Paints on the recorded sample: the flow continues from there like the library's, and paint can be undone. */
async function paint(page: Page): Promise<void> {
  await page.getByRole("button", { name: "Sample 1" }).click();
  const before = await page.pixel(5, 5);
  await page.moveTo(50);
  await page.takeBrush();
  await dot(page, 5, 5);
  await page.told("Sample 1 painted at t = 0.50: 10 steps of euler, 10 evaluations, ");
  const painted = await page.pixel(5, 5);
  const x = (await network.flow(seed, how)).image.slice(10 * P, 11 * P);
  x[5 * W + 5] = 1;
  const rest = await network.flowFrom(x, how, 10);
  assertClose(painted.t, before.t, 1e-6);
  assertClose(painted.value.slice(0, 10), before.value.slice(0, 10), rounding);
  assert.equal(painted.value[10], 1);
  assertClose(painted.value.slice(10), over(rest.image, 5, 5), rounding);
  assertClose((await page.pixel(6, 5)).value.slice(10), over(rest.image, 6, 5), rounding);
  assert.ok(Math.abs(painted.value[20] - before.value[20]) > 0.05, "paint changes the end");

  // The space bar paints noise at the pixel selected with arrow keys.
  await page.locator("#brush input[value=noise]").check();
  await page.moveTo(75);
  await page.locator(".frame").first().focus();
  await page.keyboard.press("ArrowDown");
  await page.keyboard.press("Space");
  await page.told("Sample 1 painted at t = 0.75: 5 steps of euler");
  const noisy = (await page.pixel(7, 5)).value[15];
  assert.ok(Math.abs(noisy - over(rest.image, 7, 5)[5]) > 0.01, `${noisy}`);

  await page.getByRole("button", { name: "Undo painting" }).click();
  assert.deepEqual(await page.pixel(5, 5), before);
  assert.equal(await page.locator("#paint-undo").isVisible(), false);
}

/** Paints at two times of one sample, then on another one before the first is solved: all paint is kept. */
async function paintTwice(page: Page): Promise<void> {
  await page.draw(3, "euler", 20);
  await page.pixel(3, 9);
  await page.evaluate(() => {
    const frame = document.getElementById("view-x")!.parentElement!;
    const press = (key: string) => frame.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true }));
    const time = document.getElementById("time") as HTMLInputElement;
    const paintAt = (position: number, brush: string) => {
      time.value = `${position}`;
      time.dispatchEvent(new Event("input"));
      document.querySelector<HTMLInputElement>(`#brush input[value=${brush}]`)!.checked = true;
      press(" ");
    };
    paintAt(50, "white");
    paintAt(75, "black");
    document.querySelector<HTMLElement>('[aria-label="Sample 1"]')!.click();
    paintAt(50, "white");
    press("ArrowDown");
    paintAt(50, "white");
  });
  await page.told("Sample 1 painted at t = 0.50: ");
  for (const row of [3, 4]) assert.equal((await page.pixel(row, 9)).value[10], 1, `row ${row}`);
  await page.getByLabel("Seed 3", { exact: true }).click();
  const { value } = await page.pixel(3, 9);
  /** The flow from a snapshot of another, with a painted pixel. */
  const painted = (image: Float32Array, m: number, colour: number, first: number) => {
    const x = image.slice(m * P, (m + 1) * P);
    x[3 * W + 9] = colour;
    return network.flowFrom(x, how, first);
  };
  const half = (await painted((await network.flow(3, how)).image, 10, 1, 10)).image;
  const end = (await painted(half, 5, 0, 15)).image;
  assertClose(value.slice(10), [...over(half, 3, 9).slice(0, 5), ...over(end, 3, 9)], rounding);

  await page.moveTo(100);
  await dot(page, 5, 5);
  await page.told("The flow ends at t = 1: move t back to paint.");
  for (const _ of ["down", "up"]) await page.getByRole("button", { name: "Paint", exact: true }).click();
  assert.equal(await page.locator("#time").inputValue(), "50", "the brush moves to where it can paint");
}

await testReport("reportHtml() samples live from a file, and continues the flow from paint", one, {
  drawSamples,
  letSolverChoose,
  enterNumbers,
  paint,
  paintTwice,
});

const trained = new URL("../../../checkpoints/mnist_residual.safetensors", import.meta.url);

/** A report with the repository's own network, which is slow enough to be stopped. */
async function trainedReport(): Promise<string> {
  const shape = [2, 28, 28] as const;
  const still = {
    t: Float32Array.of(0, 1),
    image: new Float32Array(2 * 784),
    velocity: new Float32Array(784),
  };
  const live = { checkpoint: await Deno.readFile(trained) };
  const { plane: _, ...rest } = run("mnist", { trajectories: [{ ...still, shape }], live });
  return reportHtml({ runs: [rest], library });
}

/** Stops drawing once it has started. */
async function stop(page: Page): Promise<void> {
  await page.locator("#live-stop").click();
  await page.untilText("live-text", /^Stopped$/);
  await page.locator("#live-stop").waitFor({ state: "hidden" });
}

await testReport(
  "reportHtml() shows rejected steps of a trained network, and can be stopped",
  await trainedReport(),
  {
    async seeSteps(page) {
      await page.untilLive();
      const strip = page.locator("#step-strip");
      assert.ok(!await strip.isVisible(), "the solver of the recorded sample is unknown");
      await page.set({ solver: "dopri5, adaptive steps", tolerance: 0.0001 });
      await page.drawSeed(1);
      await strip.waitFor({ state: "visible" });

      const { model, shape } = await openCheckpoint(trained);
      const sampler = new AdaptiveSampler(model, [1, ...shape], { rtol: 1e-4, atol: 1e-4 });
      const { steps: [tried], evaluations } = await sampler.solve(noise(1, [1, ...shape]));
      const counts: number[] = [];
      for (const kind of ["taken", "rejected"] as const) {
        const expected = tried.filter(({ accepted }) => accepted === (kind === "taken"));
        assert.ok(counts.push(expected.length) && expected.length > 0, kind);
        const found = await page.stepsIn("#step-strip", kind);
        assertClose(found.flat(), expected.flatMap(({ t, dt }) => [t, t + dt]), 1e-3);
      }
      const words = `${counts[0]} taken, .* long; ${counts[1]} rejected, ${evaluations} `;
      assert.match(await page.text("step-strip"), new RegExp(words));
      await page.moveTo(50);
      await page.draw(8, "heun", 3);
      await strip.waitFor({ state: "hidden" });
    },
    async stopDrawing(page) {
      await page.set({ solver: "bosh3, adaptive steps", tolerance: 0.00001 });
      await page.locator("#live-many").click();
      await stop(page);
      assert.equal(await page.locator("#live-grid button:not([disabled]) canvas").count(), 0);
      assert.match(await page.draw(5, "heun", 2), /^Seed 5: 2 steps of heun, 3 evaluations, /);
    },
    async overtake(page) {
      const samples = () => page.locator("#explorer-samples button").count();
      const before = await samples();
      await page.set({ solver: "bosh3, adaptive steps" });
      await page.locator("#live-many").click();
      await page.set({ solver: "heun", steps: 1000, seed: 6 }); // too slow to finish before the next sample
      await page.locator("#live-draw").click();
      assert.match(await page.draw(7, "heun", 2), /^Seed 7: 2 steps of heun, 3 evaluations, /);
      assert.equal(await samples(), before + 1, "only the sample of seed 7");
      const waiting = await page.locator("#live-grid button[disabled] canvas").count();
      assert.equal(waiting, 16, "the grid continues");
      await stop(page);
    },
  },
);
