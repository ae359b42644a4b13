/// <reference lib="dom" />
/** Bits per dimension of test images and judging of new samples in a report. */

import assert from "node:assert/strict";
import { tensor } from "../../../kernels/mod.ts";
import { asBytes, bitsPerDimension, fromPixels, loadJudge, prdc } from "../../../models/mod.ts";
import { type LiveJudge, reportHtml, type TestImages } from "../../../viz/report/mod.ts";
import { tinyJudge } from "../../models/tiny_files.ts";
import { asked, liveReport, Network, normalization, withLive } from "./live_data.ts";
import { size } from "./made_up.ts";
import { type Report, testReport, text, untilLive } from "./opened.ts";

const { H, W } = size;
const [N, P] = [4, H * W];
const examples: TestImages = {
  shape: [N, 1, H, W],
  image: asBytes(Float32Array.from({ length: N * P }, (_, i) => 0.5 + 0.5 * Math.sin(i))),
  labels: [2, 0, 1, 2],
  classNames: ["nought", "one", "two"],
};
const labelled = await Network.of(3, 1, 3);
const plain = await Network.of(4);

/** A report of three networks: with classes, without classes, and without test images. */
async function threeNetworks(): Promise<string> {
  const report = await liveReport({ labelled, plain, bare: plain });
  return reportHtml(withLive(report, { tests: examples }, { tests: examples }));
}

/** Bits per dimension of a test image by the library, for several seeds of random signs. */
async function expected({ model, classes }: Network, n: number, seeds: number): Promise<number[]> {
  const x1 = tensor(fromPixels(examples.image.slice(n * P, (n + 1) * P), normalization), [1, 1, H, W]);
  const condition = classes > 0 && { condition: tensor(Uint32Array.of(examples.labels![n])) };
  const bits: number[] = [];
  for (let seed = 0; seed < seeds; seed++) {
    const found = await bitsPerDimension(model, x1, { normalization, rtol: 1e-2, seed, ...condition });
    bits.push(found.bits[0]);
  }
  return bits;
}

/** Presses a test image and waits for its text. */
async function press(report: Report, n: number, words: RegExp): Promise<string> {
  await report.locator("#bits-examples button").nth(n).click();
  await report.waitForFunction(
    (source) => new RegExp(source).test(document.getElementById("bits-text")!.textContent!),
    words.source,
  );
  return await text(report, "bits-text");
}

await testReport(
  "reportHtml() computes bits per dimension of a pressed test image",
  await threeNetworks(),
  async (report) => {
    await untilLive(report);
    await report.locator("#bits").waitFor({ state: "visible" });
    const values = () => report.locator("#bits-examples button").allInnerTexts();
    assert.deepEqual(await values(), Array(N).fill("–"));
    assert.equal(
      await report.locator("#bits-examples button").first().getAttribute("title"),
      "A test image of class two",
    );

    const [first, second] = await expected(labelled, 1, 2);
    const said = await press(report, 1, /A test image of class nought: [\d.]+ bits/);
    assert.ok(
      said.startsWith(`A test image of class nought: ${first.toFixed(3)} bits per dimension: `),
      said,
    );
    assert.match(
      said,
      /\d+ evaluations, conditioned on class 0, each with a vector-Jacobian product, took \d{1,3}(,\d{3})* ms on CPU/,
    );
    assert.deepEqual(await values(), ["–", first.toFixed(2), "–", "–"]);

    const both = (first + second) / 2;
    const error = Math.abs(first - second) / 2;
    assert.ok(error > 0, "other random signs");
    assert.ok(
      (await press(report, 1, / \u00b1 /)).includes(
        `${both.toFixed(3)} \u00b1 ${error.toFixed(3)} bits per dimension (2 draws of random signs): `,
      ),
      await text(report, "bits-text"),
    );

    // A network without classes is not conditioned, and has other values.
    await report.locator("#explorer-run").selectOption("1");
    assert.deepEqual(await values(), Array(N).fill("–"));
    const [other] = await expected(plain, 1, 1);
    const words = await press(report, 1, /evaluations/);
    assert.ok(words.includes(`: ${other.toFixed(3)} bits`) && !words.includes("conditioned on"), words);

    // A result that comes after a change of run is not shown for the new run.
    await report.locator("#explorer-run").selectOption("0");
    await report.evaluate(() => {
      const [words, run] = ["bits-text", "explorer-run"].map((id) =>
        document.getElementById(id) as HTMLSelectElement
      );
      words.dataset.told = "";
      new MutationObserver(() => {
        words.dataset.told += `${words.textContent}\n`;
        if (run.value === "1" || !words.textContent!.includes("class two: solving")) return;
        run.value = "1";
        run.dispatchEvent(new Event("change"));
      }).observe(words, { childList: true });
      document.querySelector<HTMLElement>("#bits-examples button")!.click();
    });
    await report.waitForFunction(() =>
      document.querySelector<HTMLSelectElement>("#explorer-run")!.value === "1"
    );
    await press(report, 1, /of class nought: .*evaluations/);
    const told = await report.locator("#bits-text").getAttribute("data-told");
    assert.match(told!, /class two: solving/);
    assert.doesNotMatch(told!, /class two: \d|Stopped/);

    await report.locator("#explorer-run").selectOption("2");
    await report.locator("#bits").waitFor({ state: "hidden" });
    await report.locator("#explorer-run").selectOption("0");
    assert.deepEqual(await values(), ["–", both.toFixed(2), "–", "–"]);
  },
);

const [many, first, steps] = [16, 20, 4];
const [unlabelled, other] = [await Network.of(3), await Network.of(5, 1, 3)];

const weights = await tinyJudge({ classes: 3, channels: 1, height: H, width: W });
const judge = loadJudge(weights, "the judge");
const real = await judge.judge(Float32Array.from({ length: 60 * P }, (_, i) => 0.5 + 0.5 * Math.sin(i * i)));
const live: LiveJudge = { weights, reference: real.features };

/** Finished samples of a network, in pixels. */
async function samples(network: Network): Promise<Float32Array> {
  const all = new Float32Array(many * P);
  for (let n = 0; n < many; n++) {
    const how = {
      solver: "euler",
      steps,
      ...network.classes > 0 && { label: (first + n) % 3, guidance: asked.guidance },
    } as const;
    all.set((await network.flow(first + n, how)).image.slice(-P), n * P);
  }
  return all;
}

const percent = (share: number) => `${(100 * share).toFixed(0)} %`;

await testReport(
  "reportHtml() judges sixteen new samples of runs with a judge, and warns that they are few",
  reportHtml(withLive(
    await liveReport({ labelled: other, unlabelled, bare: unlabelled }),
    { judge: live },
    { judge: live },
  )),
  async (report) => {
    await untilLive(report);
    await report.locator("#live-condition").waitFor({ state: "visible" });
    await report.locator("#live-seed").fill(`${first}`);
    await report.locator("#live-solver").selectOption("euler");
    await report.locator("#live-steps").fill(`${steps}`);
    await report.locator("#live-many").click();
    const verdicts = report.locator("#live-grid .verdict");
    await report.waitForFunction(() => document.querySelectorAll("#live-grid button:enabled").length > 48);
    assert.equal(await verdicts.count(), 2);
    const seen: string[] = [];
    for (const [i, network] of [other, unlabelled].entries()) {
      const { probabilities, features } = await judge.judge(asBytes(await samples(network)));
      const each = Array.from({ length: many }, (_, n) => [...probabilities.subarray(3 * n, 3 * n + 3)]);
      const classes = each.map((shares) => shares.indexOf(Math.max(...shares)));
      seen.push(...each.map((shares, n) => `${classes[n]} ${Math.max(...shares).toFixed(2)}`));
      const words = (await verdicts.nth(i).innerText()).replaceAll(/\s+/g, " ");
      const sure = each.filter((shares) => Math.max(...shares) >= 0.9).length;
      assert.match(words, new RegExp(`^Recognised ${sure} of 16 .* right about 25.0 % of test images`));
      const right = classes.filter((label, n) => label === (first + n) % 3).length;
      assert.equal(words.includes(`Of the requested class ${right} of 16.`), network.classes > 0, words);
      for (const [name, { value, low, high }] of Object.entries(await prdc(real.features, features))) {
        if (name !== "precision" && name !== "recall") continue;
        const share = `${percent(value)} (95 % interval ${percent(low)} to ${percent(high)}) of `;
        assert.ok(words.toLowerCase().includes(`${name} ${share}`), `${words} (expected ${share})`);
      }
      assert.match(
        words,
        /16 samples are few, .* 16 test images instead of samples get \d+ % and \d+ % on average\.$/,
      );
    }
    assert.deepEqual(await report.locator("#live-grid .under").allInnerTexts(), seen);
  },
);
