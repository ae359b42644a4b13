/// <reference lib="dom" />
/** The views of a report. */

import assert from "node:assert/strict";
import { encodePng, figure, imageGrid } from "../../../viz/mod.ts";
import {
  figurePage,
  type Passage,
  reportHtml,
  type ReportRun,
  type SolverQuality,
} from "../../../viz/report/mod.ts";
import { madeUpFlow } from "../flow/made_up_flow.ts";
import { hostile, plane, run, two } from "./made_up.ts";
import { moveTo, see, testReport, text, tracesOf } from "./opened.ts";

const [first, second] = two.runs;
const fewer = { ...second, plane: plane(6, 9) };

await testReport(
  "reportHtml() compares two runs with one slider, even if one has fewer trajectories",
  reportHtml({ ...two, runs: [first, fewer] }),
  async (page) => {
    await see(page, "difference-chart");
    await moveTo(page, 60);
    assert.match(await text(page, "compare-text"), /^points at t = 0.50; .* 0.250$/);
    const curves = await tracesOf(page, "difference-chart");
    assert.deepEqual(curves.map(({ y }) => y), [Array(4).fill(0.25), Array(4).fill(0.5)]);
    await page.locator("#compare-a").selectOption("1");
    await page.waitForFunction(() =>
      document.getElementById("compare-text")!.textContent!.endsWith(" 0.000")
    );
    await page.locator("#explorer-run").selectOption("1");

    await see(page, "plane-chart");
    assert.match(await page.locator("#plane").innerText(), /20 samples from noise to data/);
    await page.evaluate(() => {
      const chart = document.getElementById("plane-chart") as unknown as {
        emit(event: string, what: unknown): void;
      };
      chart.emit("plotly_click", { points: [{ customdata: 15 }] });
    });
    assert.equal(await text(page, "plane-text"), "sample 16, class 5");
    await page.locator("#plane-run").selectOption("1");
    await page.locator("#plane").getByText("9 samples from noise to data").waitFor({ state: "visible" });
    assert.doesNotMatch(await page.locator("#plane").innerText(), /20 samples from noise to data/);
    assert.equal(await text(page, "plane-text"), "sample 1, class 0");
    await moveTo(page, 70);
  },
);

/** A run with samples of these classes in the plane. */
const classed = (name: string, classes: readonly number[], classNames?: readonly string[]) => {
  const { real, ...rest } = plane(4, classes.length);
  const ofReal = Array.from({ length: 30 }, (_, n) => classes[n % classes.length]);
  const samples = { ...rest, classes, ...classNames && { classNames } };
  return run(name, { plane: { ...samples, real: { ...real, classes: ofReal } } });
};
const many = Array.from({ length: 60 }, (_, n) => n % 26);
const { classes: _, classifier: __, real: { position }, ...unclassed } = plane(4, 9);
/** Runs, with the name and number of points of each class, and the text on the first sample. */
const classCases: readonly (readonly [ReportRun, [name: string, count: number][], said: string])[] = [
  [
    classed("26 classes", many),
    Array.from({ length: 26 }, (_, c) => [`${c}`, many.filter((other) => other === c).length]),
    "sample 1, class 0",
  ],
  [
    classed("named", [0, 1, 1, 2], ["cat", "<b>owl</b>"]),
    [["cat", 1], ["&lt;b&gt;owl&lt;/b&gt;", 2], ["2", 1]],
    "sample 1, class cat",
  ],
  [
    classed("beyond all marks", [100, 500, 4, 500]),
    [["4", 1], ["100", 1], ["500", 2]],
    "sample 1, class 100",
  ],
  [run("none", { plane: { ...unclassed, real: { position } } }), [["samples", 9]], "sample 1"],
];

await testReport(
  "reportHtml() shows each sample in the plane with mark and name of its class",
  reportHtml({ runs: classCases.map(([run]) => run) }),
  async (page) => {
    await see(page, "plane-chart");
    await moveTo(page, 100);
    for (const [place, [{ name }, expected, said]] of classCases.entries()) {
      await page.locator("#plane-run").selectOption(`${place}`);
      await page.waitForFunction((said) => document.getElementById("plane-text")!.textContent === said, said);
      await moveTo(page, 100);
      const points = (await tracesOf(page, "plane-chart")).filter(({ customdata, x }) =>
        customdata && x.length > 0
      );
      assert.deepEqual(points.map(({ name, x }) => [name, x.length]), expected, name);
      const isClassed = name !== "none";
      assert.ok(points.every(({ showlegend }) => showlegend === isClassed), name);
      assert.equal(
        /Colours and shapes are classes/.test(await page.locator("#plane").innerText()),
        isClassed,
      );
      if (place > 0) continue;
      assert.equal(new Set(points.map(({ marker }) => `${marker!.color} ${marker!.symbol}`)).size, 26);
    }
  },
);

/** Quality of a solver with 4 and 8 evaluations. */
const resultsOf = (solver: string): SolverQuality[] =>
  [4, 8].map((evaluations) => ({
    solver,
    words: `${solver}:${evaluations}`,
    evaluations,
    frechet: { value: 30 / evaluations, low: 29 / evaluations, high: 31 / evaluations },
    confident: 0.9,
    chosen: solver === "heun" && evaluations === 8,
  }));
const solvers = ["euler", "midpoint", "heun", "bosh3", "rk4", "dopri5", "bosh3, own", "dopri5, own", "sde"];

await testReport(
  "reportHtml() tells nine solvers apart, and keeps traces hidden when the slider moves",
  reportHtml({ runs: [run("a", { solvers: solvers.flatMap(resultsOf) })] }),
  async (page) => {
    await see(page, "solvers-chart");
    const looks = (await tracesOf(page, "solvers-chart")).map(({ line, marker }) =>
      `${line!.color} ${marker!.symbol ?? "circle"}`
    );
    assert.equal(looks.length, solvers.length);
    assert.equal(new Set(looks).size, solvers.length, looks.join("\n"));
    for (const [id, trace] of [["solvers-chart", "heun"], ["pixel-chart", "velocity"]] as const) {
      await see(page, id);
      await page.locator(`#${id} .legend .traces`, { hasText: trace }).locator(".legendtoggle").click();
      const hidden = async () =>
        (await tracesOf(page, id)).flatMap(({ name, hidden }) => hidden ? [name] : []);
      while ((await hidden()).length === 0) await moveTo(page, 20); // Plotly waits for a second click
      await page.keyboard.press("ArrowRight");
      await moveTo(page, 30);
      if (id === "pixel-chart") await page.locator(".frame").first().hover();
      await moveTo(page, 31);
      assert.deepEqual(await hidden(), [trace]);
    }
  },
);

const [H, W] = [8, 20];
const { image: ___, shape: [M, N], ...rest } = plane(6, 20);
const wide = run("wide", {
  samplesPng: encodePng(imageGrid(new Float32Array(2 * H * W).fill(0.5), [2, H, W])),
  trajectories: [madeUpFlow(1, 5, [H, W])],
  plane: { ...rest, image: new Float32Array(N * H * W).fill(0.5), shape: [M, N, H, W] },
});

await testReport("reportHtml() does not stretch images", reportHtml({ runs: [wide] }), async (page) => {
  for (const width of [1280, 375]) {
    await page.setViewportSize({ width, height: 900 });
    await page.locator("#explorer").scrollIntoViewIfNeeded();
    await see(page, "plane-chart");
    await page.waitForFunction(
      (W) => (document.getElementById("plane-image") as HTMLCanvasElement).width === W,
      W,
    );
    const shown = await page.evaluate(() =>
      [...document.querySelectorAll<HTMLCanvasElement | HTMLImageElement>("canvas, img")].map((image) => {
        const [own, own2] = image instanceof HTMLImageElement
          ? [image.naturalWidth, image.naturalHeight]
          : [image.width, image.height];
        const { width, height } = image.getBoundingClientRect();
        const fits = getComputedStyle(image).objectFit === "contain";
        return { id: image.id, own: own / own2, shown: width / height, fits };
      })
    );
    assert.ok(shown.length >= 8, `${shown.length}`);
    for (const { id, own, shown: ratio, fits } of shown) {
      assert.ok(fits || Math.abs(ratio / own - 1) < 0.03, `${id} of ${own} is shown as ${ratio}`);
    }
  }
});

const line = figure([{ x: [1, 2], y: [3, 4], name: "residual" }], { xTitle: "images" });
const passages: [string, Exclude<Passage, string>] = [
  `The residual network is better. ${hostile}`,
  { heading: "Differences", items: ["one", hostile] },
];
const study = {
  title: `Study ${hostile}`,
  passages,
  figure: { svg: line.svg, text: "Quality against images" },
  tables: [
    { title: "Setups", head: ["setup", "Fréchet distance"], rows: [["residual", "14.2 (11.2 to 17.2)"]] },
    { title: "Differences", head: ["difference"], rows: [[hostile]] },
  ],
};
const runs = [first, { ...first, name: "a run that is not compared" }, second];

await testReport(
  "reportHtml() shows findings of a study, and compares some of its runs",
  reportHtml({ runs, comparison: { ...two.comparison!, runs: [0, 2] }, study }),
  async (page) => {
    assert.equal(await page.locator("h1").innerText(), study.title);
    const [paragraph, list] = study.passages;
    const shown = await page.locator("main").innerText();
    for (const text of [paragraph, `${list.heading}:`]) assert.ok(shown.includes(text), text);
    assert.deepEqual(await page.locator(".study li").allInnerTexts(), list.items);
    assert.ok(await page.locator("td", { hasText: "14.2 (11.2 to 17.2)" }).isVisible());
    const drawn = await page.locator("img.wide").evaluate((image) =>
      (image as HTMLImageElement).naturalWidth
    );
    assert.equal(drawn, 700);
    assert.deepEqual(await page.locator("#compare-b option").allInnerTexts(), [first.name, second.name]);
    await see(page, "difference-chart");
    await moveTo(page, 60);
    assert.match(await text(page, "compare-text"), /^points at t = 0.50; .* 0.250$/);
    assert.deepEqual(
      await page.locator("#explorer-run option").allInnerTexts(),
      runs.map(({ name }) => name),
    );
  },
);

const note = `Intervals over seeds ${hostile}`;

await testReport(
  "figurePage() draws figures from a single file",
  figurePage({ title: hostile, passages: [hostile], figures: [line.plotly, line.plotly], note }),
  async (page) => {
    assert.equal(await page.title(), hostile);
    assert.equal(await page.locator(".note").innerText(), note);
    assert.equal(await page.locator(".js-plotly-plot").count(), 2);
    assert.deepEqual(await page.locator("#figure-1 .xtitle").allTextContents(), ["images"]);
  },
);
