/// <reference lib="dom" />
/** Reports in Chromium: in a frame without an origin, as MLflow shows them, and on a phone. */

import assert from "node:assert/strict";
import { reportHtml } from "../../../viz/report/mod.ts";
import { pace } from "../../../viz/mod.ts";
import { type Page, testInBrowser } from "../../browser.ts";
import { hostile, one, quality, run, size, two, valueAt, velocityAt } from "./made_up.ts";
import { fromServer, moveTo, numbersIn, picture, see, testReport, text, tracesOf } from "./opened.ts";

const charts = "loss rate bins pixel plane speed difference".split(" ").map((name) => `${name}-chart`);

/** Three runs; the first has no plane and a name too long for a phone. */
function phoneReport(): string {
  const name = "residual_of_a_long_name_".repeat(5);
  const { plane: _, ...bare } = run(name, {
    learningRate: { step: [1, 2], value: [1e-5, 2e-4] },
    quality: quality(),
    samplesText: name,
  });
  return reportHtml({ runs: [bare, ...two.runs], comparison: { ...two.comparison!, runs: [1, 2] } });
}

/** The page's text on a pixel. */
const told = (s: number, t: number, row: number, column: number) => {
  const [x, v] = [valueAt(s, t, row, column), velocityAt(s, row, column)];
  return [x, v, x + (1 - t) * v];
};

function assertNear(actual: readonly number[], expected: readonly number[]): void {
  assert.equal(actual.length, expected.length, `${actual}`);
  actual.forEach((value, i) =>
    assert.ok(Math.abs(value - expected[i]) < 1.5e-3, `${actual} is not ${expected}`)
  );
}

/** Tests slider, keys, player and pixels, which must work wherever the page is opened. */
async function explore(page: Page): Promise<void> {
  assert.equal(await page.title(), `${hostile}: flow matching report`);
  assert.equal(await page.locator("h1").innerText(), hostile);
  assert.equal(await page.locator(".note").innerText(), hostile);
  assert.equal(await page.locator("img").count(), 1);

  const shape = await page.locator("#view-x").evaluate((canvas) => canvas.clientHeight / canvas.clientWidth);
  assert.equal(shape, size.H / size.W, "nothing moves when it is drawn");
  await page.locator("#explorer").scrollIntoViewIfNeeded();
  await moveTo(page, 25);
  assert.equal(await text(page, "time-text"), "t = 0.25");
  const frame = page.locator(".frame").first();
  const box = (await frame.boundingBox())!;
  const point = (row: number, column: number) =>
    [box.x + (column + 0.5) / size.W * box.width, box.y + (row + 0.5) / size.H * box.height] as const;
  await page.mouse.move(...point(3, 7));
  await page.waitForFunction(() =>
    document.getElementById("pixel-text")!.textContent!.startsWith("row 3, column 7:")
  );
  assertNear(numbersIn(await text(page, "pixel-text")), told(1, 0.25, 3, 7));

  // A click holds the pixel, arrow keys move it, and another sample has other numbers.
  await page.mouse.click(...point(3, 7));
  await page.mouse.move(...point(9, 1));
  await frame.focus();
  await page.keyboard.press("ArrowDown");
  await page.getByLabel("Sample 2").click();
  await moveTo(page, 75);
  await page.waitForFunction(() =>
    document.getElementById("pixel-text")!.textContent!.startsWith("row 4, column 7:")
  );
  assertNear(numbersIn(await text(page, "pixel-text")), told(2, 0.75, 4, 7));
  await see(page, "pixel-chart");
  const [{ y: curve }] = await tracesOf(page, "pixel-chart");
  assertNear(curve, Array.from({ length: 21 }, (_, m) => valueAt(2, m / 20, 4, 7)));

  // Arrow keys move t if nothing has the focus.
  await page.evaluate(() => (document.activeElement as HTMLElement).blur());
  await page.keyboard.press("ArrowRight");
  assert.equal(await text(page, "time-text"), "t = 0.76");

  // With a modifier, or in a table that scrolls, they do not.
  await page.keyboard.press("Shift+ArrowRight");
  await page.evaluate(() => {
    const table = document.querySelector<HTMLElement>(".scroll")!;
    table.tabIndex = 0;
    table.focus({ preventScroll: true });
  });
  await page.keyboard.press("ArrowRight");
  assert.equal(await text(page, "time-text"), "t = 0.76");

  const quadratic = pace("quadratic", 101, 101)[51] / 100;
  assert.deepEqual(await playInTwoPacings(page), ["t = 0.50", `t = ${quadratic.toFixed(2)}`]);

  // The player goes from noise to the finished digit. A script in the page watches, as a test could come too late.
  const before = await picture(page, "view-x");
  await page.locator("#pacing").selectOption("quadratic");
  const [shown] = await Promise.all([
    page.evaluate(() =>
      new Promise<string>((resolve) => {
        const output = document.getElementById("time-text")!, button = document.getElementById("play")!;
        let early = false;
        new MutationObserver((_, observer) => {
          const t = Number(output.textContent!.slice("t = ".length));
          early = t < 0.2 || early && t < 0.7;
          if (t === 1) button.click(); // the page drew no frame in between: play again
          if (!early || t <= 0.05) return;
          observer.disconnect();
          resolve(button.textContent!);
          button.click();
        }).observe(output, { childList: true });
      })
    ),
    page.locator("#play").click(),
  ]);
  assert.equal(shown, "Pause");
  assert.equal(await text(page, "play"), "Play");
  assert.notEqual(await picture(page, "view-x"), before);

  await moveTo(page, 100);
  await see(page, "plane-chart");
  const { x: points } = (await tracesOf(page, "plane-chart"))[3];
  assertNear(points, [0, 10].map((n) => 4 * Math.cos(n)));
  await see(page, "straightness-chart");
}

/** Plays on a made-up clock and changes the pacing half-way; returns the shown t before and after that. */
function playInTwoPacings(page: Page): Promise<(string | null)[]> {
  return page.evaluate(() => {
    const [now, request, cancel] = [performance.now, requestAnimationFrame, cancelAnimationFrame];
    let [ms, waiting] = [0, [] as FrameRequestCallback[]];
    performance.now = () => ms;
    globalThis.requestAnimationFrame = (callback) => waiting.push(callback);
    globalThis.cancelAnimationFrame = (number) => delete waiting[number - 1];
    const toldAt = (time: number) => {
      const due = waiting;
      [ms, waiting] = [time, []];
      for (const callback of due) callback(ms);
      return document.getElementById("time-text")!.textContent;
    };
    const [play, pacing] = ["play", "pacing"].map((id) => document.getElementById(id) as HTMLSelectElement);
    pacing.value = "linear";
    play.click();
    const before = toldAt(3000);
    pacing.value = "quadratic";
    const after = toldAt(3060);
    play.click();
    performance.now = now;
    Object.assign(globalThis, { requestAnimationFrame: request, cancelAnimationFrame: cancel });
    waiting.forEach((callback) => request(callback));
    return [before, after];
  });
}

await testInBrowser("reportHtml() can be explored in a frame without an origin", async (browser) => {
  await fromServer(browser, reportHtml(one), explore);
});

await testReport("reportHtml() has a dark mode, and fits a phone", phoneReport(), async (page) => {
  const backgrounds: number[] = [];
  for (const colorScheme of ["light", "dark"] as const) {
    await page.emulateMedia({ colorScheme, reducedMotion: "reduce" });
    const colour = await page.evaluate(() => getComputedStyle(document.body).backgroundColor);
    backgrounds.push(Number(/\d+/.exec(colour)![0]));
    for (const id of charts) await see(page, id);
    assert.equal(await page.evaluate(() => document.documentElement.scrollWidth), 375);
    const rates = await page.locator("#rate-chart .ytick").allTextContents();
    assert.ok(rates.includes("0.0002"), `${rates}`);
    // A run has one colour in all charts, even after a run without a plane, and labels show its full name.
    const coloursOf = async (id: string) =>
      (await tracesOf(page, id)).flatMap(({ name, line }) =>
        name && line?.color ? [[name.split(" ")[0], line.color] as const] : []
      );
    const [losses, speeds] = [new Map(await coloursOf("loss-chart")), await coloursOf("speed-chart")];
    assert.deepEqual(speeds.map(([name]) => name), ["residual", "base"]);
    for (const [name, color] of speeds) assert.equal(losses.get(name), color);
    // With reduced motion the player shows ten stills and nothing in between.
    const [seen] = await Promise.all([
      page.evaluate(() =>
        new Promise<string[]>((resolve) => {
          const [output, texts] = [document.getElementById("time-text")!, [] as string[]];
          new MutationObserver((_, observer) => {
            if (texts.push(output.textContent!) < 3) return;
            observer.disconnect();
            resolve(texts);
          }).observe(output, { childList: true });
        })
      ),
      page.locator("#play").click(),
    ]);
    assert.ok(seen.every((text) => /^t = [01]\.\d0$/.test(text)), `${seen}`);
    await page.locator("#play").click();
  }
  assert.ok(backgrounds[0] > 200 && backgrounds[1] < 60, `${backgrounds}`);
  const length = await page.evaluate(() =>
    (document.getElementById("loss-chart") as unknown as { layout: { hoverlabel: { namelength: number } } })
      .layout.hoverlabel.namelength
  );
  assert.equal(length, -1, "names in full");
}, { viewport: { width: 375, height: 700 } });
