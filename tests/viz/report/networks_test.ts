/// <reference lib="dom" />
/** A report on several networks: the controls of each, samples of all, and their judge. */

import assert from "node:assert/strict";
import { loadJudge } from "../../../models/mod.ts";
import { reportHtml } from "../../../viz/report/mod.ts";
import { assertClose } from "../../testing.ts";
import { tinyJudge } from "../../models/tiny_files.ts";
import { conditioning, library, liveRun, Network, recorded, type Solving } from "./live_data.ts";
import { size } from "./made_up.ts";
import { over, type Page, rounding, testReport } from "./opened.ts";

const { H, W } = size;
const P = H * W;
const classes = 3;
const how = { solver: "euler", steps: 4 } as const;
const times = [0, 0.125, 0.25, 0.5, 1];
const [labelled, plain, early] = [await Network.of(3, 1, classes), await Network.of(4), await Network.of(5)];
const distilled = await Network.of(6, 1, classes, true);
const steered = await Network.of(7, 1, classes, true, 2.5);

const classNames = ["nought", "one"]; // class 2 has no name
const weights = await tinyJudge({ classes, channels: 1, height: H, width: W });
const { features: reference } = await loadJudge(weights, "the judge").judge(
  Float32Array.from({ length: 60 * P }, (_, i) => 0.5 + 0.5 * Math.sin(i * i)),
);
const judged = { judge: { weights, reference } };

const { plane: _, ...bare } = await liveRun("bare", plain);
/** The runs, in the order of the page's menu. */
const runs = [
  { ...await liveRun("labelled", labelled, judged), classNames },
  await liveRun("plain", plain, {
    ...judged,
    early: { checkpoint: early.checkpoint, guidance: conditioning.guidance },
  }),
  await liveRun("uneven", plain, {}, times),
  { ...bare, live: "its weights are too large" },
  { ...await liveRun("distilled", distilled), isFlowMap: true },
  { ...await liveRun("steered", steered), isFlowMap: true, maxGuidance: 2.5 },
  await liveRun("broken", plain, { checkpoint: new Uint8Array(4) }),
];

/** Selects a run of a report. */
async function choose(page: Page, run: string, condition?: "visible" | "hidden"): Promise<void> {
  await page.locator("#explorer-run").selectOption({ label: run });
  if (condition) await page.locator("#live-guidance-label").waitFor({ state: condition });
}

/** Compares a pixel of the current sample with a flow of the library. */
async function assertShows(page: Page, expected: Promise<{ image: Float32Array; velocity: Float32Array }>) {
  const [{ value, velocity }, flow] = [await page.pixel(3, 2), await expected];
  assertClose(value, over(flow.image, 3, 2), 1e-5);
  assertClose(velocity, over(flow.velocity, 3, 2), 1e-5);
}

/** Runs with a selected class and guidance, and the expected flow and text. */
const conditions: readonly (readonly [
  run: string,
  network: Network,
  label: string | undefined,
  scale: string | undefined,
  expected: Partial<Solving>,
  words: string,
])[] = [
  ["labelled", labelled, "2", "3.5", { label: 2, guidance: 3.5 }, ", class 2, guidance 3.5, 4 eval"],
  ["labelled", labelled, "0", "0", { label: 0, guidance: 0 }, ", class nought, guidance 0, 4 eval"],
  ["labelled", labelled, "1", "1", { label: 1 }, ", class one, 4 evaluations, "],
  ["labelled", labelled, "none", "2", {}, ", 4 evaluations, "],
  ["labelled", labelled, "all", "2", { label: 5 % classes, guidance: 2 }, ", class 2, guidance 2, 4 eval"],
  ["uneven", plain, undefined, undefined, {}, ", 4 evaluations, "],
  ["plain", plain, undefined, "3.5", { early, guidance: 3.5 }, ", autoguidance 3.5, 4 eval"],
  ["plain", plain, undefined, "1", {}, ", 4 evaluations, "],
];

/** Draws with the chosen class and guidance of each network. */
async function condition(page: Page): Promise<void> {
  await page.untilLive();
  await choose(page, "labelled", "visible");
  assert.deepEqual(await page.optionsOf("live-class"), ["all", "nought", "one", "2", "none"]);
  assert.equal(await page.locator("#live-guidance").inputValue(), `${conditioning.guidance}`);
  await page.untilText("flow-times", /^Sample 1; noise 1 of seed 7, .*, class one, guidance 2;/);
  for (const [run, network, label, scale, expected, words] of conditions) {
    await choose(page, run, scale === undefined ? "hidden" : "visible");
    assert.equal(await page.locator("#live-class").isVisible(), label !== undefined);
    if (label !== undefined) await page.locator("#live-class").selectOption(label);
    if (scale !== undefined) await page.locator("#live-guidance").fill(scale);
    const said = await page.draw(5, how.solver, how.steps);
    assert.ok(said.startsWith(`Seed 5: 4 steps of euler${words}`), said);
    await assertShows(page, network.flow(5, { ...how, ...expected }));
  }
  await page.locator("#live-guidance").fill("21");
  await page.locator("#live-draw").click();
  await page.told("Guidance is 21 (expected ");
  await page.locator("#live-guidance").fill("2");
}

/** Draws sixteen samples of each network from the same noise: the judge judges them, and each opens its trajectory. */
async function drawAll(page: Page): Promise<void> {
  await choose(page, "labelled", "visible");
  await page.locator("#live-seed").fill("20");
  await page.locator("#live-many").click();
  await page.waitForFunction(() => document.querySelectorAll("#live-grid button:enabled").length > 64);
  await page.told("Error: Cannot read the weights: "); // of the last network
  const verdicts = page.locator("#live-grid .verdict");
  assert.equal(await verdicts.count(), 2, "networks with a judge");
  const under = await page.locator("#live-grid .under").allInnerTexts();
  const seen = under.map((words) => /^(?:requested (\w+)\nseen )?(\w+) ([01]\.\d\d)$/.exec(words)!);
  const names = [...classNames, "2"];
  assert.deepEqual(
    seen.map(([, asked]) => asked),
    Array.from({ length: 32 }, (_, n) => n < 16 ? names[(20 + n) % classes] : undefined),
  );
  for (const [i, of] of [seen.slice(0, 16), seen.slice(16)].entries()) {
    const words = (await verdicts.nth(i).innerText()).replaceAll(/\s+/g, " ");
    assert.ok(
      words.startsWith(`Confident ${of.filter(([, , , p]) => Number(p) >= 0.9).length} of 16, `),
      words,
    );
    const right = of.filter(([, asked, saw]) => asked === saw).length;
    assert.equal(words.includes(`Requested class ${right} of 16.`), i === 0, words);
    assert.match(
      words,
      /Precision \d+ % .* Recall \d+ % .* 16 test images in place of samples would get \d+ % and \d+ %/,
    );
  }
  await page.getByRole("button", { name: "Show seed 22 of labelled" }).click();
  await assertShows(page, labelled.flow(22, { ...how, label: 1, guidance: 2 }));
  await page.getByRole("button", { name: "Show seed 22 of uneven" }).click();
  await assertShows(page, plain.flow(22, how));
  assert.equal(await page.locator("#explorer-run").inputValue(), "2");
  await choose(page, "labelled", "visible");
  await page.evaluate(() => {
    const [many, run, stop] = ["live-many", "explorer-run", "live-stop"].map((id) =>
      document.getElementById(id) as HTMLSelectElement
    );
    many.click();
    run.value = "2";
    run.dispatchEvent(new Event("change"));
    stop.click();
  });
  await page.locator("#live-guidance-label").waitFor({ state: "hidden" }); // the controls follow, even after work has stopped
}

/** Draws the current sample with five numbers of evaluations; returns their buttons. */
async function compareSteps(page: Page, name: string) {
  await page.clearText();
  await page.getByRole("button", { name: "Compare steps" }).click();
  await page.told(`${name} with 1, 2, 4, 8, 19 evaluations: `);
  assert.deepEqual(await page.locator("#live-grid .under").allInnerTexts(), ["1", "2", "4", "8", "19"]);
  return page.locator("#live-grid .five button");
}

/** A flow map draws with its own steps, without guidance; on a phone, numbers of steps are compared side by side. */
async function takeMaps(page: Page): Promise<void> {
  const [solver, steps] = [page.locator("#live-solver"), page.locator("#live-steps")];
  assert.ok(!(await page.optionsOf("live-solver")).includes("map"), "this network is not a flow map");
  await choose(page, "distilled", "hidden");
  assert.deepEqual([await solver.inputValue(), await steps.inputValue()], ["map", "1"]);
  assert.deepEqual(await page.optionsOf("live-class"), ["all", "0", "1", "2"]);
  assert.match(await page.drawSeed(5), /^Seed 5: 1 step of map, class 2, 1 evaluation, /);
  await assertShows(page, distilled.flow(5, { solver: "map", steps: 1, label: 2 }));
  await page.untilText("flow-times", /v is its mean velocity/);
  await page.setViewportSize({ width: 375, height: 700 });
  const row = await compareSteps(page, "Seed 5");
  const tops = await row.evaluateAll((all) => all.map((one) => one.getBoundingClientRect().top));
  assert.deepEqual([tops.length, new Set(tops).size], [5, 1], "side by side");
  await row.nth(2).click();
  await assertShows(page, distilled.flow(5, { solver: "map", steps: 4, label: 2 }));
  assert.equal(await page.evaluate(() => document.documentElement.scrollWidth), 375);
  await page.setViewportSize({ width: 1280, height: 900 });
  await choose(page, "uneven", "hidden");
  assert.deepEqual([await solver.inputValue(), await steps.inputValue()], ["heun", "4"], "as before");
  await page.getByRole("button", { name: "Sample 1", exact: true }).click();
  const compared = await compareSteps(page, "Sample 1");
  for (const [n, how] of [[1, { solver: "euler", steps: 2 }], [4, { solver: "heun", steps: 10 }]] as const) {
    await compared.nth(n).click();
    await assertShows(page, plain.flow(recorded.seed, how));
  }
}

/** A flow map that takes guidance as an input redraws the same noise as its slider moves, in one row. */
async function slideGuidance(page: Page): Promise<void> {
  const slider = page.locator("#live-slide");
  await choose(page, "labelled");
  await slider.waitFor({ state: "hidden" });
  await choose(page, "steered");
  await slider.waitFor({ state: "visible" });
  assert.equal(await slider.getAttribute("max"), "2.5");
  await page.drawSeed(5);
  for (const guidance of [1.75, 2.5]) {
    await page.clearText();
    await slider.fill(`${guidance}`);
    await page.told(`Seed 5: 1 step of map, class 2, guidance ${guidance}, 1 evaluation, `);
    assert.equal(await page.text("live-slide-value"), guidance.toFixed(2));
    await assertShows(page, steered.flow(5, { solver: "map", steps: 1, label: 2, guidance }));
  }
  await choose(page, "uneven", "hidden");
}

/** Paints on a sample with unequal steps, which it keeps. */
async function paintUnevenly(page: Page): Promise<void> {
  await page.getByRole("button", { name: "Sample 1", exact: true }).first().click();
  await page.moveTo(30);
  await page.untilText("flow-times", /; snapshot at t = 0\.250$/);
  await page.pixel(6, 6);
  await page.takeBrush();
  await page.paintDot();
  await page.told("Sample 1 painted at t = 0.25: 2 steps of euler, 2 evaluations, ");
  const { t, value } = await page.pixel(6, 6);
  assert.deepEqual(t, times);
  const { seed, ...own } = { ...recorded, times };
  const x = (await plain.flow(seed, own)).image.slice(2 * P, 3 * P);
  x[6 * W + 6] = 1;
  assertClose(value.slice(2), over((await plain.flowFrom(x, own, 2)).image, 6, 6), rounding);
}

/** A run without a network explains why, and has no brush: a click keeps a pixel. A broken network is reported. */
async function lackNetworks(page: Page): Promise<void> {
  await choose(page, "bare");
  await page.told("This page cannot draw new samples from this model: its weights are too large.");
  assert.equal(await page.controls(), false);
  await page.pixel(5, 4);
  await choose(page, "broken");
  await page.told("Error: Cannot read the weights: ");
  assert.equal((await page.pixel(4, 7)).value.length, 21);
  await choose(page, "labelled");
  assert.ok(await page.controls());
  await page.locator("#paint[aria-pressed=false]").waitFor();
}

await testReport(
  "reportHtml() draws, guides and judges with each run's network, or says why there is none",
  reportHtml({ runs, library }),
  { condition, drawAll, takeMaps, slideGuidance, paintUnevenly, lackNetworks },
);
