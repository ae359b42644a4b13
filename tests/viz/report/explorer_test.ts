/// <reference lib="dom" />
/** Time, pixels and player of a report, in a page without an origin (as in MLflow), and in colour. */

import assert from "node:assert/strict";
import { pace } from "../../../viz/mod.ts";
import { type Comparison, type PlaneTrajectories, reportHtml } from "../../../viz/report/mod.ts";
import { assertClose } from "../../testing.ts";
import { madeUpColourFlow } from "../flow/made_up_flow.ts";
import { library, liveRun, Network, recorded } from "./live_data.ts";
import { hostile, plane, run, size, valueAt, velocityAt } from "./made_up.ts";
import { numbersIn, over, type Page, testReport } from "./opened.ts";

const { H, W } = size;
const P = H * W;
const network = await Network.of(3);

/** The page's numbers of a pixel: value, velocity and predicted end. */
const numbersAt = (s: number, t: number, row: number, column: number) => {
  const [x, v] = [valueAt(s, t, row, column), velocityAt(s, row, column)];
  return [x, v, x + (1 - t) * v];
};

/** Whether an element is completely within the visible part of the page. */
function isOnScreen(id: string): boolean {
  const { top, bottom, width } = document.getElementById(id)!.getBoundingClientRect();
  return width > 0 && top >= 0 && bottom <= innerHeight;
}

async function explore(page: Page): Promise<void> {
  assert.equal(
    await page.locator(".dek").innerText(),
    "This network turns noise into images. Press Play, draw new noise, or paint on an image.",
  );
  await page.untilLive();
  await page.evaluate(() => (document.getElementById("live-more") as HTMLDetailsElement).open = false);
  for (const [width, height] of [[1280, 900], [390, 844]]) {
    await page.setViewportSize({ width, height });
    await page.evaluate(() => document.getElementById("flow")!.scrollIntoView());
    for (const id of ["view-x", "view-v", "view-end", "live-draw", "paint", "play", "time"]) {
      assert.ok(await page.evaluate(isOnScreen, id), `${id} at ${width} x ${height}`);
    }
  }
  await page.setViewportSize({ width: 1280, height: 900 });
  const sections = await page.locator(".contents a").allInnerTexts();
  assert.deepEqual(sections, ["Flow", "Trajectories", "Training", "Settings"]);
  assert.equal(await page.title(), `${hostile}: flow matching report`);
  assert.equal(await page.locator("h1").innerText(), hostile);
  assert.equal(await page.locator("img").count(), 1);

  const shape = await page.locator("#view-x").evaluate((canvas) => canvas.clientHeight / canvas.clientWidth);
  assert.ok(Math.abs(shape - H / W) < 0.01, "nothing moves when it is drawn");
  await page.locator("#explorer").scrollIntoViewIfNeeded();
  await page.moveTo(25);
  assert.equal(await page.text("time-text"), "t = 0.25");
  const frame = page.locator(".frame").first();
  const box = (await frame.boundingBox())!;
  const point = (row: number, column: number) =>
    [box.x + (column + 0.5) / W * box.width, box.y + (row + 0.5) / H * box.height] as const;
  await page.mouse.move(...point(3, 7));
  await page.untilAt(3, 7);
  assertClose(numbersIn(await page.text("pixel-text")), numbersAt(1, 0.25, 3, 7), 1.5e-3);

  // A click keeps the pixel, arrow keys move it, and another sample has other numbers.
  await page.mouse.click(...point(3, 7));
  await page.mouse.move(...point(9, 1));
  await frame.focus();
  await page.keyboard.press("ArrowDown");
  await page.getByRole("button", { name: "Sample 2" }).click();
  await page.moveTo(75);
  await page.untilAt(4, 7);
  assertClose(numbersIn(await page.text("pixel-text")), numbersAt(2, 0.75, 4, 7), 1.5e-3);
  await page.see("pixel-chart");
  const [curve, end, velocity] = await page.tracesOf("pixel-chart");
  assertClose(curve.y, Array.from({ length: 21 }, (_, m) => valueAt(2, m / 20, 4, 7)), 1.5e-3);
  assertClose(end.y, Array(21).fill(valueAt(2, 1, 4, 7)), 3e-3); // of a straight line
  assertClose(velocity.y, Array(20).fill(velocityAt(2, 4, 7)), 1.5e-3);

  // Arrow keys move t if nothing has the focus; with a modifier, or in a table that scrolls, they do not.
  await page.evaluate(() => (document.activeElement as HTMLElement).blur());
  await page.keyboard.press("ArrowRight");
  assert.equal(await page.text("time-text"), "t = 0.76");
  await page.keyboard.press("Shift+ArrowRight");
  await page.evaluate(() => {
    const table = [...document.querySelectorAll<HTMLElement>(".scroll")].find((one) =>
      one.checkVisibility()
    )!;
    table.tabIndex = 0;
    table.focus({ preventScroll: true });
  });
  await page.keyboard.press("ArrowRight");
  assert.equal(await page.text("time-text"), "t = 0.76");
  await page.see("pixel-chart");
  const line = await page.locator("#pixel-chart .shapelayer path").evaluate((path) =>
    path.getBoundingClientRect().left
  );
  const [left] = await page.placeInChart("pixel-chart", 0.76, 0);
  assert.ok(Math.abs(line - left) < 1, "a line marks t");

  await page.moveTo(100);
  await page.see("plane-chart");
  await page.pointInPlane(4 * Math.cos(10), 4 * Math.sin(10), "sample 11, classified as 0");
  await page.see("straightness-chart");
}

/** Plays on a made-up clock, and changes the pacing halfway. */
async function play(page: Page): Promise<void> {
  await page.locator("#explorer").scrollIntoViewIfNeeded();
  const before = await page.picture("view-x");
  const seen = await page.evaluate(() => {
    const [now, request, cancel] = [performance.now, requestAnimationFrame, cancelAnimationFrame];
    let [ms, waiting] = [0, [] as FrameRequestCallback[]];
    performance.now = () => ms;
    globalThis.requestAnimationFrame = (callback) => waiting.push(callback);
    globalThis.cancelAnimationFrame = (number) => delete waiting[number - 1];
    const [play, pacing] = ["play", "pacing"].map((id) => document.getElementById(id) as HTMLSelectElement);
    const at = (time: number) => {
      const due = waiting;
      [ms, waiting] = [time, []];
      for (const callback of due) callback?.(ms); // undefined if cancelled
      return `${document.getElementById("time-text")!.textContent}, ${play.textContent}`;
    };
    pacing.value = "linear";
    play.click();
    const seen = [at(0), at(3000)];
    pacing.value = "quadratic";
    seen.push(at(3060), at(6000));
    play.click();
    seen.push(at(6060));
    play.click();
    seen.push(at(6060));
    performance.now = now;
    Object.assign(globalThis, { requestAnimationFrame: request, cancelAnimationFrame: cancel });
    waiting.forEach((callback) => request(callback));
    return seen;
  });
  const quadratic = (pace("quadratic", 101, 101)[51] / 100).toFixed(2);
  assert.deepEqual(seen, [
    "t = 0.00, Pause",
    "t = 0.50, Pause",
    `t = ${quadratic}, Pause`,
    "t = 1.00, Play",
    "t = 0.00, Pause",
    "t = 0.00, Play",
  ]);
  await page.moveTo(0);
  assert.notEqual(await page.picture("view-x"), before);
}

await testReport(
  "reportHtml() can be explored, played and painted on without an origin",
  reportHtml({
    runs: [run(hostile, { live: { checkpoint: network.checkpoint } })],
    library,
  }),
  {
    explore,
    play,
    async drawSamples(page) {
      await page.untilLive();
      await page.takeBrush();
      await page.paintDot();
      await page.told("The solver of this sample is unknown: draw new noise to paint on.");
      await page.getByRole("button", { name: "Paint", exact: true }).click();
      await page.draw(5, "heun", 5);
      const { image } = await network.flow(5, { solver: "heun", steps: 5 });
      assertClose((await page.pixel(3, 2)).value, over(image, 3, 2), 1e-5);
    },
  },
  { sandboxed: true },
);

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
  const between = [[[0, 0], [0.17, 0.17]], [[0.17, 0.17], [0, 0]]];
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
function colourOf(page: Page, id: string, row: number, column: number): Promise<number[]> {
  return page.evaluate(({ id, row, column }) => {
    const context = (document.getElementById(id) as HTMLCanvasElement).getContext("2d")!;
    return [...context.getImageData(column, row, 1, 1).data].slice(0, 3);
  }, { id, row, column });
}

/** The channels of a pixel at a snapshot. */
const channelsAt = (values: Float32Array, m: number, row: number, column: number) =>
  [0, 1, 2].map((c) => values[((m * 3 + c) * H + row) * W + column]);

/** Checks the curves of the middle pixel's channels from a snapshot on. */
async function assertCurves(page: Page, image: Float32Array, tolerance: number, from = 0): Promise<void> {
  await page.see("pixel-chart");
  const lines = await page.tracesOf("pixel-chart");
  const channels = ["red", "green", "blue"];
  assert.deepEqual(lines.map(({ name }) => name), channels.flatMap((name) => [name, name, name]));
  for (const c of [0, 1, 2]) {
    const expected = Array.from(
      { length: image.length / (3 * P) },
      (_, m) => channelsAt(image, m, H / 2, W / 2)[c],
    );
    assertClose(lines[3 * c].y.slice(from), expected, tolerance);
  }
}

const colours = await Network.of(3, 3);

await testReport(
  "reportHtml() shows, draws and paints three channels",
  reportHtml({
    runs: [run("a", { trajectories: [flow], plane: colourPlane() }), await liveRun("b", colours)],
    comparison: comparison(),
    library,
  }),
  {
    async show(page) {
      await page.locator("#explorer").scrollIntoViewIfNeeded();
      await page.moveTo(25);
      const [row, column, m] = [H / 2, W / 2, 5];
      const [x, v] = [channelsAt(flow.image, m, row, column), channelsAt(flow.velocity, m, row, column)];
      const end = x.map((value, c) => value + 0.75 * v[c]);
      await page.untilAt(row, column);
      const words = await page.text("pixel-text");
      assert.match(words, /^row 6, column 8 \(red, green, blue\): value /);
      assertClose(numbersIn(words), [...x, ...v, ...end], 1e-3);
      const level = (value: number) => Math.round(255 * Math.min(1, Math.max(0, value)));
      assertClose(await colourOf(page, "view-x", row, column), x.map(level), 1);
      assertClose(await colourOf(page, "view-end", row, column), end.map(level), 1);
      const [red, , blue] = await colourOf(page, "view-v", row, column);
      assert.equal(Math.sign(red - blue), Math.sign(v[0] + v[1] + v[2]), "red brightens on average");
      assert.match(await page.locator("#flow").innerText(), /Mean over the 3 channels\./);
      await assertCurves(page, flow.image, 1e-3);
      await page.see("plane-chart");
      assert.deepEqual(await colourOf(page, "plane-image", 0, 0), [255, 0, 0]);
      await page.see("difference-chart");
      assert.deepEqual(await colourOf(page, "compare-xb", 3, 3), [0, 0, 255]);
      assert.match(await page.text("compare-text"), / 0\.173$/, "0.3 in one of three channels");
      assert.match(
        await page.text("compare-d-scale"),
        /^\u22120\.10 to \+0\.10$/,
        "the mean over channels",
      );
    },
    async drawAndPaint(page) {
      await page.untilLive();
      await page.locator("#explorer-run").selectOption("1");
      await page.draw(9, "heun", 4);
      await assertCurves(page, (await colours.flow(9, { solver: "heun", steps: 4 })).image, 1e-5);

      // White paint sets all channels, and the flow continues as the library's does.
      await page.getByRole("button", { name: "Sample 1" }).click();
      await page.moveTo(50);
      await page.takeBrush();
      await page.paintDot();
      await page.told("Sample 1 painted at t = 0.50: 10 steps of euler");
      const { seed, ...how } = recorded;
      const x = (await colours.flow(seed, how)).image.slice(10 * 3 * P, 11 * 3 * P);
      for (const c of [0, 1, 2]) x[(c * H + H / 2) * W + W / 2] = 1;
      await assertCurves(page, (await colours.flowFrom(x, how, 10)).image, 1e-3, 10);
    },
  },
);
