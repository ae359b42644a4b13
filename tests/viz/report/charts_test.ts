/// <reference lib="dom" />
/** Charts of a report after its reader has done something. */

import assert from "node:assert/strict";
import { reportHtml, type SolverQuality } from "../../../viz/report/mod.ts";
import { type Page, testInBrowser } from "../../browser.ts";
import { plane, run, two } from "./made_up.ts";
import { fromFile, moveTo, see, text } from "./opened.ts";

/** A chart as Plotly keeps it. */
interface Drawn extends HTMLElement {
  readonly data: { name: string; line: { color: string }; marker: { symbol?: string } }[];
  readonly _fullData: { name: string; visible: boolean | string }[];
  emit(event: string, what: unknown): void;
}

await testInBrowser(
  "a report shows paths of a run that has fewer of them than the one before",
  async (browser) => {
    const [first, second] = two.runs;
    const report = reportHtml({ runs: [first, { ...second, plane: plane(6, 9) }] });
    await fromFile(browser, report, {}, async (page) => {
      await see(page, "plane-chart");
      await page.evaluate(() => {
        const chart = document.getElementById("plane-chart") as Drawn;
        chart.emit("plotly_click", { points: [{ customdata: 15 }] });
      });
      assert.equal(await text(page, "plane-text"), "sample 16, class 5");
      await page.locator("#plane-run").selectOption("1");
      await page.waitForFunction(() =>
        document.getElementById("plane-text")!.textContent === "sample 1, class 0"
      );
      await moveTo(page, 70);
    });
  },
);

/** What a solver got with 4 and 8 evaluations. */
const resultsOf = (solver: string): SolverQuality[] =>
  [4, 8].map((evaluations) => ({
    solver,
    words: `${solver}:${evaluations}`,
    evaluations,
    frechet: { value: 30 / evaluations, low: 29 / evaluations, high: 31 / evaluations },
    confident: 0.9,
    chosen: solver === "heun" && evaluations === 8,
  }));

const names = [
  "euler",
  "midpoint",
  "heun",
  "bosh3",
  "rk4",
  "dopri5",
  "bosh3, own steps",
  "dopri5, own steps",
  "sde",
];

await testInBrowser("a report tells as many solvers apart as are compared by default", async (browser) => {
  const report = reportHtml({ runs: [run("a", { solvers: names.flatMap(resultsOf) })] });
  await fromFile(browser, report, {}, async (page) => {
    await see(page, "solvers-chart");
    const looks = await page.evaluate(() =>
      (document.getElementById("solvers-chart") as Drawn).data.map(({ line, marker }) =>
        `${line.color} ${marker.symbol ?? "circle"}`
      )
    );
    assert.equal(looks.length, names.length);
    assert.equal(new Set(looks).size, names.length, looks.join("\n"));
  });
});

/** Names of the traces of a chart that its reader has hidden. */
const hidden = (page: Page, id: string) =>
  page.evaluate(
    (id) =>
      (document.getElementById(id) as Drawn)._fullData.flatMap(({ name, visible }) =>
        visible === "legendonly" ? [name] : []
      ),
    id,
  );

await testInBrowser(
  "a report hides what its reader has hidden, also after the slider has moved",
  async (browser) => {
    const report = reportHtml({ runs: [run("a", { solvers: ["euler", "heun"].flatMap(resultsOf) })] });
    await fromFile(browser, report, {}, async (page) => {
      for (const [id, trace] of [["solvers-chart", "heun"], ["pixel-chart", "velocity"]] as const) {
        await see(page, id);
        await page.locator(`#${id} .legend .traces`, { hasText: trace }).locator(".legendtoggle").click();
        await page.waitForFunction(
          (id) =>
            (document.getElementById(id) as Drawn)._fullData.some(({ visible }) => visible === "legendonly"),
          id,
        );
        await page.keyboard.press("ArrowRight");
        await moveTo(page, 30);
        if (id === "pixel-chart") await page.locator(".frame").first().hover();
        await moveTo(page, 31);
        assert.deepEqual(await hidden(page, id), [trace]);
      }
    });
  },
);
