/// <reference lib="dom" />
/** Classes of samples in the plane of a report: their symbols and names. */

import assert from "node:assert/strict";
import { reportHtml, type ReportRun } from "../../../viz/report/mod.ts";
import { plane, run } from "./made_up.ts";
import { moveTo, type Page, see, testReport, text, tracesOf, untilDrawn } from "./opened.ts";

/** A run with samples of these classes in the plane. */
const classed = (name: string, classes: readonly number[], classNames?: readonly string[]) => {
  const { real, ...rest } = plane(4, classes.length);
  const ofReal = Array.from({ length: 30 }, (_, n) => classes[n % classes.length]);
  const samples = { ...rest, classes, real: { ...real, classes: ofReal } };
  return run(name, { plane: samples, ...classNames && { classNames } });
};
const many = Array.from({ length: 60 }, (_, n) => n % 26);
const { classes: _, classifier: __, real: { position }, ...unclassed } = plane(4, 9);
/** Runs, with the legend entry and sample count of each class, and the text on the first sample. */
const classCases: readonly (readonly [ReportRun, [name: string, count: number][], said: string])[] = [
  [
    classed("26 classes", many),
    Array.from({ length: 26 }, (_, c) => [`${c}`, many.filter((other) => other === c).length]),
    "sample 1, classified as 0",
  ],
  [
    classed("named", [0, 1, 1, 2], ["cat", "<b>owl</b>"]),
    [["cat", 1], ["<b>owl</b>", 2], ["2", 1]],
    "sample 1, classified as cat",
  ],
  [
    classed("beyond all colours", [101, 502, 4, 502]),
    [["4", 1], ["101", 1], ["502", 2]],
    "sample 1, classified as 101",
  ],
  [run("none", { plane: { ...unclassed, real: { position } } }), [], "sample 1"],
];

/** Each sample in the plane has the symbol of its class; the legend names the class, and a click there hides it. */
async function seeClasses(page: Page): Promise<void> {
  for (const [i, [{ name }, expected, said]] of classCases.entries()) {
    await page.locator("#plane-run").selectOption(`${i}`);
    await page.waitForFunction((said) => document.getElementById("plane-text")!.textContent === said, said);
    await moveTo(page, 100);
    const legend = await page.locator("#plane-chart .legendtext").allTextContents();
    assert.deepEqual(legend, expected.map(([name]) => name), name);
    const symbols = async () => {
      const all = [(await tracesOf(page, "plane-chart")).at(-2)!.symbol].flat();
      return Object.values(Object.groupBy(all, (symbol) => symbol)).map((same) => same!.length).sort();
    };
    const counts = expected.map(([, count]) => count);
    const sorted = (counts: readonly number[]) => counts.toSorted();
    if (expected.length <= 10) {
      assert.deepEqual(await symbols(), counts.length > 0 ? sorted(counts) : [9], name);
    }
    assert.equal(/Each symbol is a sample/.test(await text(page, "plane")), expected.length > 0);
    if (name !== "named") continue;
    const toggle = page.locator("#plane-chart .legendtoggle").first();
    await toggle.focus();
    await page.keyboard.press("Enter");
    await page.waitForFunction(() =>
      document.querySelector("#plane-chart .legendtoggle")!.ariaPressed === "false"
    );
    await untilDrawn(page);
    assert.deepEqual(await symbols(), sorted(counts.slice(1)));
    assert.equal(await toggle.getAttribute("aria-label"), "cat");
  }
}

await testReport(
  "reportHtml() tells classes of samples apart by their symbols",
  reportHtml({ runs: classCases.map(([run]) => run) }),
  { see: (page) => see(page, "plane-chart"), seeClasses },
);
