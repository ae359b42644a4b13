/// <reference lib="dom" />
/** The views of a report on many runs, on a wide screen and on a phone. */

import assert from "node:assert/strict";
// @ts-types="npm:@types/pngjs@6.0.5"
import { PNG } from "npm:pngjs@7.0.0";
import { figure } from "../../../viz/mod.ts";
import { axeComplaints } from "../../axe.ts";
import { figurePage, type Passage, reportHtml, type SolverQuality } from "../../../viz/report/mod.ts";
import { hostile, overTime, plane, quality, run, two } from "./made_up.ts";
import {
  controls,
  moveTo,
  optionsOf,
  type Page,
  pointInPlane,
  see,
  testReport,
  text,
  told,
  tracesOf,
} from "./opened.ts";

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

const line = figure([{ x: [1, 2], y: [3, 4], name: "residual", color: "#d55e00" }], {
  xTitle: "images",
  levels: [{ y: 2, name: "real images: 2" }],
});
const passages: [string, Exclude<Passage, string>] = [
  `The residual network is better. ${hostile}`,
  { heading: "Differences", items: ["one", hostile] },
];
const study = {
  title: `Study ${hostile}`,
  passages,
  figure: {
    panels: [line.svg, line.svg],
    legend: [{ name: `residual ${hostile}`, color: "#d55e00", mark: "square" as const }],
    text: "Quality against images",
  },
  tables: [
    {
      title: "Setups",
      head: ["setup", "Fréchet distance", ...Array.from({ length: 12 }, (_, i) => `measure ${i}`)],
      rows: [[`residual ${"of a long name ".repeat(9)}`, ...Array(13).fill("14.2 (11.2 to 17.2)")]],
    },
    { title: "Differences", head: ["difference"], rows: [[hostile]] },
  ],
};

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
const runs = [flat, first, { ...second, plane: plane(6, 9) }];

async function showFindings(page: Page): Promise<void> {
  assert.equal(await page.locator("h1").innerText(), study.title);
  const [paragraph, list] = study.passages;
  const shown = await page.locator("main").innerText();
  for (const text of [paragraph, `${list.heading}:`]) assert.ok(shown.includes(text), text);
  assert.deepEqual(await page.locator(".study > ul > li").allInnerTexts(), list.items);
  assert.ok(await page.locator("td", { hasText: "14.2 (11.2 to 17.2)" }).first().isVisible());
  const drawn = page.locator(".stills img");
  assert.deepEqual(
    await drawn.evaluateAll((all) => all.map((image) => (image as HTMLImageElement).naturalWidth)),
    [700, 700],
  );
  assert.equal(await page.locator(".study .entries").innerText(), study.figure.legend[0].name);
  const [left, right] = await boxesOf(page, ".stills img");
  assert.ok(left.y === right.y && right.x > left.x, "panels are side by side");
}

const boxesOf = (page: Page, selector: string) =>
  page.locator(selector).evaluateAll((all) => all.map((element) => element.getBoundingClientRect().toJSON()));

/** The range of brightness in an element's picture. */
async function brightness(page: Page, selector: string): Promise<[darkest: number, brightest: number]> {
  const shown = await page.locator(selector).first().screenshot();
  const { data } = PNG.sync.read(shown);
  const sums = Array.from(
    { length: data.length / 4 },
    (_, i) => (data[4 * i] + data[4 * i + 1] + data[4 * i + 2]) / 3,
  );
  return [sums, sums].map((sums, i) => sums.reduce((a, b) => i === 0 ? Math.min(a, b) : Math.max(a, b))) as [
    number,
    number,
  ];
}

/** A study's figure follows the colour scheme; on a phone its panels are stacked, and only tables scroll. */
async function fitStudy(page: Page): Promise<void> {
  await page.emulateMedia({ colorScheme: "dark" });
  const [, brightest] = await brightness(page, ".stills img");
  assert.ok(brightest > 120 && brightest < 230, `ink of brightness ${brightest}, no paper`);
  const shown = () =>
    page.locator(".stills img").first().evaluate((image) => (image as HTMLImageElement).currentSrc);
  const dark = await shown();
  await page.emulateMedia({ colorScheme: "light" });
  const [darkest] = await brightness(page, ".stills img");
  assert.ok(darkest > 20 && darkest < 120, `ink of brightness ${darkest}`);
  assert.notEqual(await shown(), dark, "in WebKit, images ignore the preferred colour scheme");

  await page.setViewportSize({ width: 390, height: 800 });
  assert.equal(await page.evaluate(() => document.documentElement.scrollWidth), 390);
  const [upper, lower] = await boxesOf(page, ".stills img");
  assert.ok(lower.y > upper.y && upper.width > 340, `panels of width ${upper.width}`);
  const ends = () => boxesOf(page, ".study tbody td:first-child, .study tbody td:last-child");
  const [name, last] = await ends();
  assert.ok(name.width < 200 && last.x > 390, `${name.width}, ${last.x}`);
  await page.locator(".study .scroll").first().evaluate((box) => box.scrollLeft = 1e4);
  const [stays, comes] = await ends();
  assert.ok(stays.x === name.x && comes.right <= 390, "the name of a row stays visible");
  await page.setViewportSize({ width: 1280, height: 900 });
}

/** Compares some of the runs with one slider, even if one has fewer trajectories in the plane. */
async function compare(page: Page): Promise<void> {
  assert.deepEqual(await optionsOf(page, "compare-b"), [first.name, second.name]);
  assert.deepEqual(await optionsOf(page, "explorer-run"), runs.map(({ name }) => name));
  await see(page, "difference-chart");
  await moveTo(page, 60);
  assert.match(await text(page, "compare-text"), /^points at t = 0.50; .* 0.37\d$/);
  await page.locator("#compare-sample").selectOption("1");
  await page.waitForFunction(() => / 0\.62\d$/.test(document.getElementById("compare-text")!.textContent!));
  const curves = await tracesOf(page, "difference-chart");
  assert.deepEqual(curves.map(({ y }) => y), [Array(4).fill(0.25), Array(4).fill(0.5)]);
  await page.locator("#compare-a").selectOption("1");
  await page.waitForFunction(() => document.getElementById("compare-text")!.textContent!.endsWith(" 0.000"));

  await see(page, "plane-chart");
  assert.match(await text(page, "plane"), /20 samples on their way from noise to images/);
  await pointInPlane(page, 2.4 * Math.cos(15), 2.4 * Math.sin(15));
  assert.equal(await text(page, "plane-text"), "sample 16, classified as 5");
  await page.locator("#plane-run").selectOption("1");
  await page.locator("#plane").getByText("9 samples on their way from noise to images (5").waitFor({
    state: "visible",
  });
  assert.doesNotMatch(await text(page, "plane"), /20 samples on their way from noise to images/);
  assert.equal(await text(page, "plane-text"), "sample 1, classified as 0");
  await moveTo(page, 70);
}

/** Nine solvers look different, figures of quality are shown, and traces stay hidden when the slider moves. */
async function seeQuality(page: Page): Promise<void> {
  await page.locator("#quality summary").click();
  for (const id of ["quality-straightness", "quality-curvature", "solvers-chart"]) await see(page, id);
  assert.match(await text(page, "quality"), /Fréchet distance[\s\S]*6\.2/);
  const drawn = (await tracesOf(page, "quality-curvature")).map(({ y }) => y);
  assert.deepEqual(drawn.slice(0, 2), [[0.9, 0.2], []]);
  const ticks = await page.locator('#quality-curvature text[text-anchor="end"]').allTextContents();
  assert.ok(ticks.includes("0.0"), `from 0: ${ticks}`);
  const looks = (await tracesOf(page, "solvers-chart")).map(({ color, mark }) => `${color} ${mark}`);
  assert.equal(looks.length, solvers.length);
  assert.equal(new Set(looks).size, solvers.length, looks.join("\n"));
  for (const [id, trace] of [["solvers-chart", "heun"], ["pixel-chart", "velocity"]] as const) {
    await see(page, id);
    await page.locator(`#${id} .legend button`, { hasText: trace }).click();
    const hidden = async () => (await tracesOf(page, id)).flatMap(({ name, hidden }) => hidden ? [name] : []);
    await page.keyboard.press("ArrowRight");
    await moveTo(page, 30);
    if (id === "pixel-chart") await page.locator(".frame").first().hover();
    await moveTo(page, 31);
    assert.deepEqual(await hidden(), [trace]);
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
  await cell.click();
  assert.deepEqual(await shown(), all);
}

/** The page explains why no run has a network. */
async function lackNetworks(page: Page): Promise<void> {
  await page.locator("#explorer").scrollIntoViewIfNeeded();
  await told(page, "This page cannot draw new samples: it was told so.");
  assert.equal(await controls(page), false);
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
    for (const id of charts) await see(page, id);
    assert.equal(await page.evaluate(() => document.documentElement.scrollWidth), 375);
    const rules = colorScheme === "light" ? undefined : ["color-contrast"];
    assert.deepEqual(await axeComplaints(page, rules), []);
    const [chart, layer] = await boxesOf(page, "#plane-chart, #plane-samples");
    assert.deepEqual(layer, chart, "the layer of samples covers the whole chart");
    const [title, value, line] = await boxesOf(page, ".figures tbody tr:first-child > *");
    assert.ok(title.bottom <= value.y && value.bottom <= line.y && line.width > 320, "rows are stacked");
    const rates = await page.locator("#rate-chart text").allTextContents();
    assert.ok(rates.includes("0.0002"), `${rates}`);
    // A run has one colour in all charts, even after a run without a plane.
    const coloursOf = async (id: string) =>
      (await tracesOf(page, id)).flatMap(({ name, color }) =>
        name ? [[name.split(" ")[0], color] as const] : []
      );
    const [losses, speeds] = [new Map(await coloursOf("loss-chart")), await coloursOf("speed-chart")];
    assert.equal(speeds.length, runs.length - 1);
    for (const [name, color] of speeds.slice(0, 2)) assert.equal(losses.get(name), color);
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
  "reportHtml() shows a study's findings, and compares and draws its runs on any screen",
  reportHtml({ runs, comparison: { ...two.comparison!, runs: [1, 2] }, study }),
  { showFindings, fitStudy, compare, seeQuality, useGallery, lackNetworks, fitPhone },
);

const note = `Intervals over seeds ${hostile}`;

await testReport(
  "figurePage() draws figures from a single file",
  figurePage({ title: hostile, passages: [hostile], figures: [line, line], note }),
  {
    async look(page) {
      assert.equal(await page.title(), hostile);
      assert.ok(await page.getByText(note).isVisible());
      assert.equal(await page.locator(".plot > svg").count(), 2);
      const words = await page.locator("#figure-1 text").allTextContents();
      for (const expected of ["images", "real images: 2"]) assert.ok(words.includes(expected), `${words}`);
      assert.deepEqual(
        await page.locator(".entries li").allInnerTexts(),
        ["residual"],
        "one legend for both figures",
      );
    },
    async fit(page) {
      await page.setViewportSize({ width: 390, height: 800 });
      await page.waitForFunction(() => document.documentElement.scrollWidth === 390);
      for (const scheme of ["light", "dark"] as const) {
        await page.emulateMedia({ colorScheme: scheme });
        await page.waitForFunction((scheme) => {
          const { fill } = getComputedStyle(document.querySelector("#figure-0 .figure-ink")!);
          return (Number(/\d+/.exec(fill)![0]) > 150) === (scheme === "dark");
        }, scheme);
        const [darkest, brightest] = await brightness(page, "#figure-0");
        assert.ok(
          scheme === "dark" ? brightest < 250 : darkest < 110 && brightest > 250,
          `${darkest}, ${brightest}`,
        );
      }
    },
  },
);
