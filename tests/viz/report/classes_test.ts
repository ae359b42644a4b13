/// <reference lib="dom" />
/** Classes of samples in the plane of a report: their symbols and names. */

import assert from "node:assert/strict";
// @ts-types="npm:@types/pngjs@6.0.5"
import { PNG } from "npm:pngjs@7.0.0";
import { reportHtml, type ReportRun } from "../../../viz/report/mod.ts";
import { plane, run } from "./made_up.ts";
import { moveTo, type Page, placeInPlane, see, testReport, text } from "./opened.ts";

/** A run with samples of these classes in the plane. */
const classed = (name: string, classes: readonly number[], classNames?: readonly string[]) => {
  const { real, ...rest } = plane(4, classes.length);
  const ofReal = Array.from({ length: 30 }, (_, n) => classes[n % classes.length]);
  const samples = { ...rest, classes, real: { ...real, classes: ofReal } };
  return run(name, { plane: samples, ...classNames && { classNames } });
};
const many = Array.from({ length: 60 }, (_, n) => n % 26);
const { classes: _, classifier: __, real: { position }, ...unclassed } = plane(4, 9);
/** Runs, with the legend entry, symbol and sample count of each class, and the text on the first sample. */
const classCases:
  readonly (readonly [ReportRun, [name: string, sign: string, count: number][], said: string])[] = [
    [
      classed("26 classes", many),
      Array.from({ length: 26 }, (_, c) => [`${c}`, `${c}`, many.filter((other) => other === c).length]),
      "sample 1, classified as 0",
    ],
    [
      classed("named", [0, 1, 1, 2], ["cat", "<b>owl</b>"]),
      [["C: cat", "C", 1], ["<: <b>owl</b>", "<", 2], ["2", "2", 1]],
      "sample 1, classified as cat",
    ],
    [
      classed("beyond all colours", [100, 500, 4, 500]),
      [["4", "4", 1], ["100", "100", 1], ["500", "500", 2]],
      "sample 1, classified as 100",
    ],
    [run("none", { plane: { ...unclassed, real: { position } } }), [], "sample 1"],
  ];

/** The symbols of samples that the page draws in the plane, in order. */
function signsIn(page: Page): Promise<string[]> {
  return page.evaluate(async () => {
    const context = CanvasRenderingContext2D.prototype;
    const { clip, fillText } = context;
    let signs: string[] = [];
    context.clip = function () {
      signs = []; // a new picture
      Reflect.apply(clip, this, []);
    };
    context.fillText = function (sign, ...place) {
      signs.push(sign);
      fillText.call(this, sign, ...place);
    };
    document.getElementById("time")!.dispatchEvent(new Event("input", { bubbles: true }));
    await new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve)));
    Object.assign(context, { clip, fillText });
    return signs;
  });
}

/** Each sample in the plane has the symbol of its class; the legend names the class, and a click there hides it. */
async function seeClasses(page: Page): Promise<void> {
  for (const [i, [{ name }, expected, said]] of classCases.entries()) {
    await page.locator("#plane-run").selectOption(`${i}`);
    await page.waitForFunction((said) => document.getElementById("plane-text")!.textContent === said, said);
    await moveTo(page, 100);
    const legend = await page.locator("#plane-chart .legend button").allInnerTexts();
    assert.deepEqual(legend, expected.map(([name]) => name), name);
    assert.deepEqual(
      await signsIn(page),
      expected.flatMap(([, sign, count]) => Array(count).fill(sign)),
      name,
    );
    assert.equal(/Each symbol is a sample/.test(await text(page, "plane")), expected.length > 0);
    if (name !== "named") continue;
    await page.locator("#plane-chart .legend button", { hasText: "cat" }).click();
    assert.ok(!(await signsIn(page)).includes("C"));
  }
}

/** Classes differ without colours: the centre of a 0 is paper, that of a 1 is ink. */
async function seeWithoutColours(page: Page): Promise<void> {
  await page.locator("#plane-run").selectOption("0");
  await page.waitForFunction(() =>
    document.getElementById("plane-text")!.textContent === "sample 1, classified as 0"
  );
  await moveTo(page, 100);
  const session = await page.context().newCDPSession(page);
  for (const type of ["deuteranopia", "achromatopsia", "none"] as const) {
    await session.send("Emulation.setEmulatedVisionDeficiency", { type });
    const [zero, one] = await Promise.all([26, 27].map(async (n) => {
      const [x, y] = await placeInPlane(page, 4 * Math.cos(n), 4 * Math.sin(n));
      const clip = { x: Math.round(x) - 1, y: Math.round(y) - 1, width: 2, height: 2 };
      const { data } = PNG.sync.read(await page.screenshot({ clip }));
      return data.reduce((sum, value) => sum + value, 0) / data.length;
    }));
    assert.ok(zero - one > 40, `${type}: ${zero}, ${one}`);
  }
}

await testReport(
  "reportHtml() tells classes of samples apart by their symbols",
  reportHtml({ runs: classCases.map(([run]) => run) }),
  { see: (page) => see(page, "plane-chart"), seeClasses, seeWithoutColours },
);
