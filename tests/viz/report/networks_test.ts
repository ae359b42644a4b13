/// <reference lib="dom" />
/** A report of several networks: class and guidance, samples of all, their judge, and bits per dimension. */

import assert from "node:assert/strict";
import { tensor } from "../../../kernels/mod.ts";
import { asBytes, bitsPerDimension, fromPixels, loadJudge, prdc } from "../../../models/mod.ts";
import { reportHtml, type TestImages, type Trajectory } from "../../../viz/report/mod.ts";
import { assertClose } from "../../testing.ts";
import { tinyJudge } from "../../models/tiny_files.ts";
import {
  conditioning,
  library,
  liveRun,
  Network,
  normalization,
  recorded,
  type Solving,
} from "./live_data.ts";
import { choose, takeMaps } from "./flow_map_visit.ts";
import { size } from "./made_up.ts";
import {
  controls,
  draw,
  moveTo,
  optionsOf,
  over,
  type Page,
  pixel,
  rounding,
  takeBrush,
  testReport,
  text,
  told,
  untilLive,
  untilText,
} from "./opened.ts";

const { H, W } = size;
const P = H * W;
const classes = 3;
const how = { solver: "euler", steps: 4 } as const;
const times = [0, 0.125, 0.25, 0.5, 1];
const [labelled, plain, early] = [await Network.of(3, 1, classes), await Network.of(4), await Network.of(5)];
const distilled = await Network.of(6, 1, classes, true);

const examples: TestImages = {
  shape: [4, 1, H, W],
  image: asBytes(Float32Array.from({ length: 4 * P }, (_, i) => 0.5 + 0.5 * Math.sin(i))),
  labels: [2, 0, 1, 2],
};
const classNames = ["nought", "one"]; // class 2 has no name
const weights = await tinyJudge({ classes, channels: 1, height: H, width: W });
const judge = loadJudge(weights, "the judge");
const real = await judge.judge(Float32Array.from({ length: 60 * P }, (_, i) => 0.5 + 0.5 * Math.sin(i * i)));
const judged = { tests: examples, judge: { weights, reference: real.features } };

const { plane: _, ...bare } = await liveRun("bare", plain);
/** The runs, in the order of the page's choice. */
const runs = [
  { ...await liveRun("labelled", labelled, judged), classNames },
  await liveRun("plain", plain, {
    ...judged,
    early: { checkpoint: early.checkpoint, guidance: conditioning.guidance },
  }),
  await liveRun("uneven", plain, {}, times),
  { ...bare, live: "its weights are too large" },
  { ...await liveRun("distilled", distilled), isFlowMap: true },
  await liveRun("broken", plain, { checkpoint: new Uint8Array(4) }),
];

/** Draws a sample of a seed, and compares it with the library's; returns the page's text. */
async function compare(page: Page, seed: number, network: Network, expected: Solving): Promise<string> {
  const words = await draw(page, seed, how.solver, how.steps);
  const flow = await network.flow(seed, expected);
  const { value, velocity } = await pixel(page, 3, 2);
  assertClose(value, over(flow.image, 3, 2), 1e-5);
  assertClose(velocity, over(flow.velocity, 3, 2), 1e-5);
  return words;
}

/** Draws chosen classes with chosen guidance: one recording serves all. */
async function chooseClasses(page: Page): Promise<void> {
  await untilLive(page);
  await page.locator("#live-guidance-label").waitFor({ state: "visible" });
  const title = () => page.locator("#explorer-samples button").getAttribute("title");
  assert.match((await title())!, /, class one, /);
  await choose(page, "plain", "visible");
  assert.equal(await title(), "noise 1 of seed 7, 20 steps of euler", "the samples are those of the run");
  await choose(page, "labelled", "visible");
  assert.deepEqual(await optionsOf(page, "live-class"), ["all", "nought", "one", "2", "none"]);
  const [label, guidance] = [page.locator("#live-class"), page.locator("#live-guidance")];
  assert.equal(await guidance.inputValue(), `${conditioning.guidance}`);
  await untilText(
    page,
    "flow-times",
    /^Sample 1; noise 1 of seed 7, 20 steps of euler, class one, guidance 2;/,
  );
  const before = await pixel(page, 4, 7);
  await label.selectOption(`${conditioning.label}`);
  assert.match(
    await draw(page, recorded.seed, recorded.solver, recorded.steps),
    /^Seed 7: 20 steps of euler, class one, guidance 2, 20 evaluations with and without the class, [\d,]+ ms on CPU, 1 thread\.$/,
  );
  assertClose((await pixel(page, 4, 7)).value, before.value, rounding);

  const cases: [choice: string, scale: string, expected: Partial<Solving>, words: string][] = [
    [
      "2",
      "3.5",
      { label: 2, guidance: 3.5 },
      ", class 2, guidance 3.5, 4 evaluations with and without the class, ",
    ],
    [
      "0",
      "0",
      { label: 0, guidance: 0 },
      ", class nought, guidance 0, 4 evaluations with and without the class, ",
    ],
    ["1", "1", { label: 1 }, ", class one, 4 evaluations, "],
    ["none", "2", {}, ", 4 evaluations, "],
    [
      "all",
      "2",
      { label: 5 % classes, guidance: 2 },
      ", class 2, guidance 2, 4 evaluations with and without",
    ],
  ];
  for (const [choice, scale, expected, words] of cases) {
    await label.selectOption(choice);
    await guidance.fill(scale);
    const said = await compare(page, 5, labelled, { ...how, ...expected });
    assert.ok(said.startsWith(`Seed 5: 4 steps of euler${words}`), said);
  }
  await guidance.fill("21");
  await page.locator("#live-draw").click();
  await told(page, "Guidance is 21 (expected a number from 0 to 20).");
  await guidance.fill("2");
}

const [many, first] = [16, 20];

/** Mean precision and recall of three sets of sixteen test images against the others, as the page shows them. */
async function wordsOfReal(): Promise<string> {
  const { values, rows, width } = real.features;
  const sums = [0, 0];
  for (let set = 0; set < 3; set++) {
    const isIn = (_: number, i: number) => Math.floor(i / width / many) === set;
    const some = { values: values.filter(isIn), rows: many, width };
    const others = { values: values.filter((v, i) => !isIn(v, i)), rows: rows - many, width };
    const { precision, recall } = await prdc(others, some, { resamples: 1 });
    [precision, recall].forEach(({ value }, i) => sums[i] += value);
  }
  return sums.map((sum) => `${(100 * sum / 3).toFixed(0)} %`).join(" and ");
}

/** Draws sixteen samples of each network from the same noise: the judge judges them, and each opens its trajectory. */
async function drawAll(page: Page): Promise<void> {
  await page.locator("#live-seed").fill(`${first}`);
  await page.locator("#live-many").click();
  await page.waitForFunction(() => document.querySelectorAll("#live-grid button:enabled").length > 64);
  await told(page, "Error: Cannot read the weights: "); // of the last network
  const verdicts = page.locator("#live-grid .verdict");
  assert.equal(await verdicts.count(), 2);
  const seen: string[] = [];
  const expectedOfReal = await wordsOfReal();
  for (const [i, network] of [labelled, plain].entries()) {
    const samples = new Float32Array(many * P);
    for (let n = 0; n < many; n++) {
      const more = network === plain ? { early, guidance: 2 } : { label: (first + n) % classes, guidance: 2 };
      samples.set((await network.flow(first + n, { ...how, ...more })).image.slice(-P), n * P);
    }
    const { probabilities, features } = await judge.judge(asBytes(samples));
    const each = Array.from({ length: many }, (_, n) => [...probabilities.subarray(3 * n, 3 * n + 3)]);
    const found = each.map((shares) => shares.indexOf(Math.max(...shares)));
    const names = network === labelled ? [...classNames, "2"] : ["0", "1", "2"];
    const asked = (n: number) => network === labelled ? `asked ${names[(first + n) % classes]}\nseen ` : "";
    seen.push(...each.map((shares, n) => `${asked(n)}${names[found[n]]} ${Math.max(...shares).toFixed(2)}`));
    const words = (await verdicts.nth(i).innerText()).replaceAll(/\s+/g, " ");
    const sure = each.filter((shares) => Math.max(...shares) >= 0.9).length;
    assert.match(words, new RegExp(`^Recognised ${sure} of 16 .* right about 25.0 % of test images`));
    const right = found.filter((label, n) => label === (first + n) % classes).length;
    assert.equal(words.includes(`Of the requested class ${right} of 16.`), network.classes > 0, words);
    const { precision, recall } = await prdc(real.features, features);
    for (const [name, { value, low, high }] of Object.entries({ precision, recall })) {
      const pattern = new RegExp(`${name} (\\d+) % \\(95 % interval (\\d+) % to (\\d+) %\\) of `, "i");
      const [, ...shown] = pattern.exec(words) ?? assert.fail(words);
      // Batches round differently, so a neighbour on the edge may be in or out.
      const off = [value, low, high].map((share, i) => Math.abs(100 * share - Number(shown[i])));
      assert.ok(Math.max(...off) <= 3, `${name} ${shown} (expected ${[value, low, high]})`);
    }
    const ofReal = ` ${many} test images instead of samples get ${expectedOfReal} on average.`;
    assert.ok(
      words.includes("16 samples are few, ") && words.endsWith(ofReal),
      `${words} (expected ${ofReal})`,
    );
  }
  assert.deepEqual(await page.locator("#live-grid .under").allInnerTexts(), seen);

  const assertOpens = async (run: string, { image, velocity: v }: Trajectory) => {
    await page.getByRole("button", { name: `Look at seed 22 of ${run}` }).click();
    const { value, velocity } = await pixel(page, 3, 2);
    assertClose(value, over(image, 3, 2), 1e-5);
    assertClose(velocity, over(v, 3, 2), 1e-5);
  };
  const conditioned = await labelled.flow(22, { ...how, label: 22 % classes, guidance: 2 });
  await assertOpens("labelled", conditioned);
  await untilText(
    page,
    "flow-times",
    /^Seed 22; drawn in this page by 4 steps of euler, class one, guidance 2, 4 evaluations;/,
  );
  const other = await plain.flow(22, how);
  assert.equal(other.image[0], conditioned.image[0], "the same noise");
  await assertOpens("uneven", other);
  assert.equal(await page.locator("#explorer-run").inputValue(), "2");
  await assertOpens("plain", await plain.flow(22, { ...how, early, guidance: 2 }));
}

/** Draws with autoguidance of several scales; the controls are those of the shown run, even if that stopped work. */
async function autoguide(page: Page): Promise<void> {
  await choose(page, "uneven", "hidden");
  assert.match(await compare(page, 5, plain, how), /^Seed 5: 4 steps of euler, 4 evaluations, /);
  await choose(page, "plain", "visible");
  assert.ok(!await page.locator("#live-class").isVisible());
  const guidance = page.locator("#live-guidance");
  assert.equal(await guidance.inputValue(), `${conditioning.guidance}`);
  for (const [seed, scale] of [2, 0, 1, 3.5].entries()) {
    await guidance.fill(`${scale}`);
    const words = scale === 1
      ? "4 evaluations, "
      : `autoguidance ${scale}, 4 evaluations of the network and its early weights, `;
    const said = await compare(page, seed, plain, { ...how, early, guidance: scale });
    assert.ok(said.startsWith(`Seed ${seed}: 4 steps of euler, ${words}`), said);
  }
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
  await page.locator("#live-guidance-label").waitFor({ state: "hidden" });
}

/** Paints in a sample with unequal steps, which stay. */
async function paintUnevenly(page: Page): Promise<void> {
  await page.getByRole("button", { name: "Sample 1" }).click();
  await moveTo(page, 30);
  await untilText(page, "flow-times", /; snapshot at t = 0\.250$/);
  await pixel(page, 6, 6);
  await takeBrush(page);
  await page.locator(".frame").first().focus();
  await page.keyboard.press("Space");
  await told(page, "Sample 1 painted at t = 0.25: 2 steps of euler, 2 evaluations, ");
  const { t, value } = await pixel(page, 6, 6);
  assert.deepEqual(t, times);
  const { seed, ...own } = { ...recorded, times };
  const x = (await plain.flow(seed, own)).image.slice(2 * P, 3 * P);
  x[6 * W + 6] = 1;
  assertClose(value.slice(2), over((await plain.flowFrom(x, own, 2)).image, 6, 6), rounding);
}

/** A run without a network says why, and has no brush: a click holds a pixel. A broken one says so. */
async function lackNetworks(page: Page): Promise<void> {
  const why = "No samples are drawn in this page from this model: its weights are too large.";
  await choose(page, "bare");
  await told(page, why);
  assert.equal(await controls(page), false);
  await pixel(page, 5, 4);
  await page.locator(".frame").first().click();
  assert.equal(await text(page, "live-text"), why);
  await choose(page, "broken");
  await told(page, "Error: Cannot read the weights: ");
  assert.equal((await pixel(page, 4, 7)).value.length, 21);
  await choose(page, "labelled");
  assert.ok(await controls(page));
  await page.locator("#paint[aria-pressed=false]").waitFor();
}

/** Bits per dimension of a test image by the library, for a seed of random signs. */
async function bitsOf({ model, classes }: Network, n: number, seed: number): Promise<number> {
  const x1 = tensor(fromPixels(examples.image.slice(n * P, (n + 1) * P), normalization), [1, 1, H, W]);
  const condition = classes > 0 && { condition: tensor(Uint32Array.of(examples.labels![n])) };
  return (await bitsPerDimension(model, x1, { normalization, rtol: 1e-2, seed, ...condition })).bits[0];
}

/** Presses a test image and waits for its text. */
async function press(page: Page, n: number, words: RegExp): Promise<string> {
  await page.locator("#bits-examples button").nth(n).click();
  await page.waitForFunction(
    (source) => new RegExp(source).test(document.getElementById("bits-text")!.textContent!),
    words.source,
  );
  return await text(page, "bits-text");
}

/** Measures test images; a network without classes is not conditioned, and has other values. */
async function measureBits(page: Page): Promise<void> {
  await page.locator("#bits").waitFor({ state: "visible" });
  const buttons = page.locator("#bits-examples button");
  const values = () => buttons.allInnerTexts();
  assert.deepEqual(await values(), Array(4).fill("–"));
  assert.equal(await buttons.first().getAttribute("title"), "A test image of class 2");
  const [one, second] = [await bitsOf(labelled, 1, 0), await bitsOf(labelled, 1, 1)];
  const said = await press(page, 1, /A test image of class nought: [\d.]+ bits/);
  assert.ok(said.startsWith(`A test image of class nought: ${one.toFixed(3)} bits per dimension: `), said);
  assert.match(
    said,
    /\d+ evaluations, conditioned on class nought, each with a vector-Jacobian product, took [\d,]+ ms on CPU/,
  );
  assert.deepEqual(await values(), ["–", one.toFixed(2), "–", "–"]);
  const [both, error] = [(one + second) / 2, Math.abs(one - second) / 2];
  assert.ok(error > 0, "other random signs");
  const draws = `${both.toFixed(3)} \u00b1 ${
    error.toFixed(3)
  } bits per dimension (2 draws of random signs): `;
  assert.ok((await press(page, 1, / \u00b1 /)).includes(draws), await text(page, "bits-text"));

  await choose(page, "plain");
  assert.deepEqual(await values(), Array(4).fill("–"));
  const other = await bitsOf(plain, 1, 0);
  const words = await press(page, 1, /evaluations/);
  assert.ok(words.includes(`: ${other.toFixed(3)} bits`) && !words.includes("conditioned on"), words);

  // A result that comes after a change of run is not shown for the new run.
  await choose(page, "labelled");
  await page.evaluate(() => {
    const [words, run] = ["bits-text", "explorer-run"].map((id) =>
      document.getElementById(id) as HTMLSelectElement
    );
    words.dataset.told = "";
    new MutationObserver(() => {
      words.dataset.told += `${words.textContent}\n`;
      if (run.value === "1" || !words.textContent!.includes("class 2: solving")) return;
      run.value = "1";
      run.dispatchEvent(new Event("change"));
    }).observe(words, { childList: true });
    document.querySelector<HTMLElement>("#bits-examples button")!.click();
  });
  await page.waitForFunction(() => document.querySelector<HTMLSelectElement>("#explorer-run")!.value === "1");
  await press(page, 1, /of class 0: .*evaluations/);
  const told = await page.locator("#bits-text").getAttribute("data-told");
  assert.match(told!, /class 2: solving/);
  assert.doesNotMatch(told!, /class 2: \d|Stopped/);
  await choose(page, "uneven");
  await page.locator("#bits").waitFor({ state: "hidden" });
  await choose(page, "labelled");
  assert.deepEqual(await values(), ["–", both.toFixed(2), "–", "–"]);
}

const visits = { chooseClasses, drawAll, autoguide, paintUnevenly, lackNetworks, measureBits };
await testReport(
  "reportHtml() draws, guides, judges and measures with the network of each run, or says why it has none",
  reportHtml({ runs, library }),
  { ...visits, takeMaps: takeMaps(distilled, plain) },
);
