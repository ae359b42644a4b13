/// <reference lib="dom" />
/** The views of a report on many runs, on a wide screen and on a phone. */

import assert from "node:assert/strict";
import type { PlotlyFigure } from "../../../viz/mod.ts";
import { axeComplaints } from "../../axe.ts";
import {
  figurePage,
  type Passage,
  reportHtml,
  type ReportRun,
  type SolverQuality,
} from "../../../viz/report/mod.ts";
import { hostile, overTime, plane, quality, run, two } from "./made_up.ts";
import { type Page, testReport } from "./opened.ts";

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

const panels: PlotlyFigure = {
  data: ["", "2"].map((n) => ({
    x: [1, 2],
    y: [3, 4],
    name: "residual",
    showlegend: n === "",
    xaxis: `x${n}`,
    yaxis: `y${n}`,
  })),
  layout: {
    title: { text: "Quality" },
    grid: { rows: 1, columns: 2, pattern: "independent" },
    xaxis: { title: { text: "images" } },
  },
};
const passages: [string, Exclude<Passage, string>] = [
  `The residual network is better. ${hostile}`,
  { heading: "Differences", items: ["one", hostile] },
];
const tables = [
  {
    title: "Setups",
    head: ["setup", "Fréchet distance", ...Array.from({ length: 12 }, (_, i) => `measure ${i}`)],
    rows: [[`residual ${"of a long name ".repeat(9)}`, ...Array(13).fill("14.2 (11.2 to 17.2)")]],
  },
  { title: "Differences", head: ["difference"], rows: [[hostile]] },
];

/** A run without a plane, with a name too long for a phone. */
const long = "residual_of_a_long_name_".repeat(5);
const { plane: ___, ...flat } = run(long, {
  learningRate: { step: [1, 2], value: [1e-5, 2e-4] },
  quality: quality({ samples: { ...quality().samples!, labels: [3, 3, 4, 2] } }),
  overTime,
  samplesText: long,
  solvers: solvers.flatMap(resultsOf),
  live: "it was told so",
});
const [first, second] = two.runs;
/** A run with samples of these classes in the plane. */
const classed = (name: string, classes: readonly number[], classNames?: readonly string[]) => {
  const { real, ...rest } = plane(4, classes.length);
  const ofReal = Array.from({ length: 30 }, (_, n) => classes[n % classes.length]);
  const samples = { ...rest, judged: { classes, accuracy: 0.9 }, real: { ...real, classes: ofReal } };
  return run(name, { plane: samples, ...classNames && { classNames } });
};
const many = Array.from({ length: 60 }, (_, n) => n % 26);
const { judged: _, real, ...unclassed } = plane(4, 9);
const requested = { labels: [2, 0, 2, 0, 2, 0, 2, 0, 2], guidance: 1 };
/** Runs, with the legend entry and sample count of each class, and the text on the first sample. */
const classCases: readonly (readonly [ReportRun, [name: string, count: number][], said: string])[] = [
  [
    classed("26 classes", many),
    Array.from({ length: 26 }, (_, c) => [`${c}`, many.filter((other) => other === c).length]),
    "sample 1, classified as 0",
  ],
  [
    classed("named", [0, 502, 502, 1], ["cat", "<b>owl</b>"]),
    [["cat", 1], ["<b>owl</b>", 1], ["502", 2]],
    "sample 1, classified as cat",
  ],
  [
    run("requested", { plane: { ...unclassed, conditioning: requested, real: { position: real.position } } }),
    [["0", 4], ["2", 5]],
    "sample 1, requested 2",
  ],
  [run("none", { plane: { ...unclassed, real: { position: real.position } } }), [], "sample 1"],
];

const runs = [flat, first, { ...second, plane: plane(6, 9) }, ...classCases.map(([run]) => run)];

const boxesOf = (page: Page, selector: string) =>
  page.locator(selector).evaluateAll((all) => all.map((element) => element.getBoundingClientRect().toJSON()));

/** Compares some of the runs with one slider, even if one has fewer trajectories in the plane. */
async function compare(page: Page): Promise<void> {
  assert.deepEqual(await page.optionsOf("compare-b"), [first.name, second.name]);
  assert.deepEqual(await page.optionsOf("explorer-run"), runs.map(({ name }) => name));
  await page.see("difference-chart");
  await page.moveTo(60);
  assert.match(await page.text("compare-text"), /^points at t = 0.50; .* 0.37\d$/);
  await page.locator("#compare-sample").selectOption("1");
  await page.waitForFunction(() => / 0\.62\d$/.test(document.getElementById("compare-text")!.textContent!));
  const curves = await page.tracesOf("difference-chart");
  assert.deepEqual(curves.map(({ y }) => y), [Array(4).fill(0.25), Array(4).fill(0.5)]);
  await page.locator("#compare-a").selectOption("1");
  await page.waitForFunction(() => document.getElementById("compare-text")!.textContent!.endsWith(" 0.000"));

  await page.see("plane-chart");
  assert.match(await page.text("plane"), /20 samples on their way from noise to images/);
  await page.pointInPlane(2.4 * Math.cos(15), 2.4 * Math.sin(15), "sample 16, classified as 5");
  await page.locator("#plane-run").selectOption("1");
  await page.locator("#plane").getByText("9 samples on their way from noise to images (5").waitFor({
    state: "visible",
  });
  assert.doesNotMatch(await page.text("plane"), /20 samples on their way from noise to images/);
  assert.equal(await page.text("plane-text"), "sample 1, classified as 0");
  await page.moveTo(70);
}

/** Each sample in the plane has the symbol of its class; the legend names the class, and a click there hides it. */
async function seeClasses(page: Page): Promise<void> {
  await page.see("plane-chart");
  for (const [i, [{ name }, expected, said]] of classCases.entries()) {
    await page.locator("#plane-run").selectOption(`${2 + i}`);
    await page.waitForFunction((said) => document.getElementById("plane-text")!.textContent === said, said);
    await page.moveTo(100);
    const legend = await page.locator("#plane-chart .legendtext").allTextContents();
    assert.deepEqual(legend, expected.map(([name]) => name), name);
    /** How many samples have each symbol. */
    const symbols = async () => {
      const all = [(await page.tracesOf("plane-chart")).at(-2)!.symbol].flat();
      return Object.values(Object.groupBy(all, (symbol) => symbol)).map((same) => same!.length).sort();
    };
    const counts = expected.map(([, count]) => count).sort();
    if (counts.length <= 10) assert.deepEqual(await symbols(), counts.length > 0 ? counts : [9], name);
    assert.equal(/Each symbol is a sample/.test(await page.text("plane")), counts.length > 0);
    if (name !== "named") continue;
    const toggle = page.locator("#plane-chart .legendtoggle").first();
    await toggle.focus();
    await page.keyboard.press("Enter");
    await page.waitForFunction(() =>
      document.querySelector("#plane-chart .legendtoggle")!.ariaPressed === "false"
    );
    await page.untilDrawn();
    assert.deepEqual(await symbols(), counts.slice(1));
    assert.equal(await toggle.getAttribute("aria-label"), "cat");
  }
}

/** Nine solvers look different, figures of quality are shown, and traces stay hidden when the slider moves. */
async function seeQuality(page: Page): Promise<void> {
  await page.locator("#quality summary").last().click();
  for (const id of ["quality-others", "quality-straightness", "quality-curvature", "solvers-chart"]) {
    await page.see(id);
  }
  assert.match(await page.text("quality"), /Fréchet distance[\s\S]*6\.2/);
  const drawn = (await page.tracesOf("quality-curvature")).map(({ y }) => y);
  assert.deepEqual(drawn, [[0.9, 0.2]]);
  const ticks = await page.locator("#quality-curvature .ytick text").allTextContents();
  assert.ok(ticks.includes("0"), `from 0: ${ticks}`);
  const looks = (await page.tracesOf("solvers-chart")).map(({ color, symbol }) => `${color} ${symbol}`);
  assert.equal(looks.length, solvers.length);
  assert.equal(new Set(looks).size, solvers.length, looks.join("\n"));
  for (const [id, trace] of [["solvers-chart", "heun"], ["pixel-chart", "velocity"]] as const) {
    await page.see(id);
    await page.locator(`#${id} .legendtoggle[aria-label="${trace}"]`).click();
    await page.waitForSelector(`#${id} .legendtoggle[aria-label="${trace}"][aria-pressed="false"]`);
    await page.moveTo(30);
    if (id === "pixel-chart") await page.locator(".frame").first().hover();
    await page.moveTo(31);
    const hidden = (await page.tracesOf(id)).flatMap(({ name, visible }) => visible === true ? [] : [name]);
    assert.deepEqual(hidden, [trace]);
  }
}

/** A selected sample is enlarged; samples are filtered by verdict, and by requested and seen classes. */
async function useGallery(page: Page): Promise<void> {
  const shown = () =>
    page.locator(".sample:visible").evaluateAll((all) =>
      all.map((one) => (one as HTMLElement).title.split(" with ")[0])
    );
  const all = ["requested 3, seen 3", "requested 3, seen 1", "requested 4, seen 4", "requested 2, seen 1"];
  assert.deepEqual(await shown(), all);
  await page.locator(".sample").nth(1).click();
  assert.match(await page.locator(".enlarged figcaption").innerText(), /^requested 3, seen 1 /);
  const [large, small] = await page.locator(".enlarged img, .sample[aria-pressed=true] img").evaluateAll((
    images,
  ) => images.map((image) => (image as HTMLImageElement).src));
  assert.equal(large, small);
  await page.locator(".gallery select").selectOption("wrong");
  assert.deepEqual(await shown(), [all[1], all[3]]);
  const cell = page.getByLabel("1 requested 2, seen 1");
  await cell.click();
  assert.deepEqual(await shown(), [all[3]]);
  assert.equal(await page.locator(".gallery select").inputValue(), "all");
  await cell.click();
  assert.deepEqual(await shown(), all);
}

/** The page explains why no run has a network. */
async function lackNetworks(page: Page): Promise<void> {
  await page.locator("#explorer").scrollIntoViewIfNeeded();
  await page.told("This page cannot draw new samples: it was told so.");
  assert.equal(await page.controls(), false);
  assert.equal(await page.locator("#paint").isVisible(), false);
}

const charts = "loss rate bins pixel plane speed difference".split(" ").map((name) => `${name}-chart`);

/** On a phone, in light and dark, with reduced motion, everything fits and no image is stretched. */
async function fitPhone(page: Page): Promise<void> {
  await assertUnstretched(page);
  await page.setViewportSize({ width: 375, height: 700 });
  const backgrounds: number[] = [];
  for (const colorScheme of ["light", "dark"] as const) {
    await page.emulateMedia({ colorScheme, reducedMotion: "reduce" });
    const colour = await page.evaluate(() => getComputedStyle(document.body).backgroundColor);
    backgrounds.push(Number(/\d+/.exec(colour)![0]));
    for (const id of charts) await page.see(id);
    await page.untilDrawn();
    assert.equal(await page.evaluate(() => document.documentElement.scrollWidth), 375);
    assert.deepEqual(await axeComplaints(page), []);
    const [title, value] = await boxesOf(page, ".figures tbody tr:first-child > *");
    assert.ok(title.bottom <= value.y && value.width > 320, "rows are stacked");
    const rates = await page.locator("#rate-chart .ytick text").allTextContents();
    assert.ok(rates.includes("0.001"), `${rates}`);
    const [ink] = await page.locator("#rate-chart .xtick text").evaluateAll((all) =>
      all.map((label) => Number(/\d+/.exec(getComputedStyle(label).fill)![0]))
    );
    assert.equal(ink > 128, colorScheme === "dark", `labels of ${ink} in ${colorScheme}`);
    for (const [id, cut] of Object.entries(await cutLabels(page))) assert.deepEqual(cut, [], id);
    // A run has one colour in all charts, even after a run without a plane.
    const coloursOf = async (id: string) =>
      new Map((await page.tracesOf(id)).map(({ name, color }) => [name.split(" ")[0], color] as const));
    const [losses, speeds] = [await coloursOf("loss-chart"), await coloursOf("speed-chart")];
    for (const { name } of [first, second]) assert.equal(losses.get(name), speeds.get(name));
    // With reduced motion, the player shows only ten stills.
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
  await assertUnstretched(page);
}

/** The labels of each chart that its picture cuts off. */
const cutLabels = (page: Page) =>
  page.evaluate(() =>
    Object.fromEntries(
      [...document.querySelectorAll(".chart[data-drawn]")].filter((chart) => chart.clientWidth > 0).map(
        (chart) => {
          const place = chart.getBoundingClientRect();
          const labels = [...chart.querySelectorAll(".xtick text, .ytick text, .xtitle, .ytitle, .y2title")];
          return [
            chart.id,
            labels.filter((label) => {
              const { left, right, top, bottom } = label.getBoundingClientRect();
              return left < place.left - 1 || right > place.right + 1 || top < place.top - 1 ||
                bottom > place.bottom + 1;
            }).map(({ textContent }) => textContent),
          ];
        },
      ),
    )
  );

async function assertUnstretched(page: Page): Promise<void> {
  const shown = await page.evaluate(() =>
    [...document.querySelectorAll<HTMLCanvasElement | HTMLImageElement>("canvas, img")].map((image) => {
      const [own, own2] = image instanceof HTMLImageElement
        ? [image.naturalWidth, image.naturalHeight]
        : [image.width, image.height];
      const { width, height } = image.getBoundingClientRect();
      const fits = /contain|cover/.test(getComputedStyle(image).objectFit);
      return { id: image.id, own: own / own2, shown: width / height, fits, seen: height > 0 };
    })
  );
  assert.ok(shown.filter(({ seen }) => seen).length >= 8, `${shown.length}`);
  for (const { id, own, shown: ratio, fits, seen } of shown) {
    assert.ok(!seen || fits || Math.abs(ratio / own - 1) < 0.03, `${id} of ${own} is shown as ${ratio}`);
  }
}

await testReport(
  "reportHtml() compares and draws its runs on any screen",
  reportHtml({ runs, comparison: { ...two.comparison!, runs: [1, 2] } }),
  { compare, seeClasses, seeQuality, useGallery, lackNetworks, fitPhone },
);

/** The places of the panels of the first figure. */
const panelsOf = (page: Page) =>
  page.evaluate(() => {
    type Axis = { readonly _offset: number; readonly _length: number };
    const { _fullLayout } = document.getElementById("figure-1") as unknown as {
      _fullLayout: Record<string, Axis>;
    };
    return ["", "2"].map((n) => {
      const [{ _offset: x, _length: width }, { _offset: y }] = ["x", "y"].map((axis) =>
        _fullLayout[`${axis}axis${n}`]
      );
      return { x, y, width };
    });
  });

const note = `Intervals over seeds ${hostile}`;

await testReport(
  "figurePage() shows text, figures and tables from a single file",
  figurePage({
    title: hostile,
    passages,
    figures: [panels, { data: [{ y: [1, 2] }], layout: {} }],
    tables,
    details: [`Held fixed ${hostile}`],
    note,
  }),
  {
    async look(page) {
      await page.untilDrawn();
      assert.equal(await page.title(), hostile);
      const shown = await page.locator("main").innerText();
      for (const text of [passages[0], `${passages[1].heading}:`, `Held fixed ${hostile}`, note]) {
        assert.ok(shown.includes(text), text);
      }
      assert.deepEqual(await page.locator("section > ul > li").allInnerTexts(), passages[1].items);
      assert.ok(await page.locator("td", { hasText: "14.2 (11.2 to 17.2)" }).first().isVisible());
      assert.deepEqual(
        await page.locator("#figure-1 .legendtext").allTextContents(),
        ["residual"],
        "one legend",
      );
      const [left, right] = await panelsOf(page);
      assert.ok(Math.abs(left.y - right.y) < 1 && right.x > left.x, "panels are side by side");
    },
    /** On a phone, panels are stacked and only tables scroll; the names of rows stay visible. */
    async fit(page) {
      await page.setViewportSize({ width: 390, height: 800 });
      await page.untilDrawn();
      await page.waitForFunction(() => document.getElementById("figure-1")!.clientHeight === 800);
      await page.untilDrawn();
      assert.equal(await page.evaluate(() => document.documentElement.scrollWidth), 390);
      const [upper, lower] = await panelsOf(page);
      assert.ok(lower.y > upper.y && upper.width > 240, `panels of width ${upper.width}`);
      const ends = () => boxesOf(page, "tbody td:first-child, tbody td:last-child");
      const [name, last] = await ends();
      assert.ok(name.width < 200 && last.x > 390, `${name.width}, ${last.x}`);
      await page.locator(".scroll").first().evaluate((box) => box.scrollLeft = 1e4);
      const [stays, comes] = await ends();
      assert.ok(stays.x === name.x && comes.right <= 390, "the name of a row stays visible");
      assert.deepEqual(await axeComplaints(page), []);
    },
  },
);
