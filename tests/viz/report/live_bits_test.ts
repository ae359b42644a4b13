/// <reference lib="dom" />
/** A reader asks for the bits per dimension of test images. */

import assert from "node:assert/strict";
import { tensor } from "../../../kernels/mod.ts";
import { asBytes, bitsPerDimension, fromPixels } from "../../../models/mod.ts";
import { reportHtml, type TestImages } from "../../../viz/report/mod.ts";
import { testInBrowser } from "../../browser.ts";
import { liveReport, Network, normalization, trainedReport, withLive } from "./live_data.ts";
import { untilLive } from "./live_page.ts";
import { size } from "./made_up.ts";
import { fromFile, type Report, text } from "./opened.ts";

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

/** A report of three networks: with classes, without, and without test images. */
async function threeNetworks(): Promise<string> {
  const report = await liveReport({ labelled, plain, bare: plain });
  return reportHtml(withLive(report, { tests: examples }, { tests: examples }));
}

/** What the library says of an image, by random signs of several seeds. */
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

/** Presses a test image and waits for what is said of it. */
async function press(report: Report, n: number, words: RegExp): Promise<string> {
  await report.locator("#bits-examples button").nth(n).click();
  await report.waitForFunction(
    (source) => new RegExp(source).test(document.getElementById("bits-text")!.textContent!),
    words.source,
  );
  return await text(report, "bits-text");
}

await testInBrowser(
  "reportHtml() computes bits per dimension of the test image that is pressed",
  async (browser) => {
    await fromFile(browser, await threeNetworks(), {}, async (report) => {
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
        /\d+ evaluations, asked for class 0, each with a vector-Jacobian product, took \d{1,3}(,\d{3})* ms on CPU/,
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

      // A network without classes is asked for none, and has values of its own.
      await report.locator("#explorer-run").selectOption("1");
      assert.deepEqual(await values(), Array(N).fill("–"));
      const [other] = await expected(plain, 1, 1);
      const words = await press(report, 1, /evaluations/);
      assert.ok(words.includes(`: ${other.toFixed(3)} bits`) && !words.includes("asked for"), words);

      // What is on its way when its reader turns to another run is not told of that one.
      await report.locator("#explorer-run").selectOption("0");
      await report.evaluate(() => {
        const [words, run] = ["bits-text", "explorer-run"].map((id) =>
          document.getElementById(id) as HTMLSelectElement
        );
        words.dataset.told = "";
        new MutationObserver(() => {
          words.dataset.told += `${words.textContent}\n`;
          if (run.value === "1" || !words.textContent!.includes("class two: on its way")) return;
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
      assert.match(told!, /class two: on its way/);
      assert.doesNotMatch(told!, /class two: \d|Stopped/);

      await report.locator("#explorer-run").selectOption("2");
      await report.locator("#bits").waitFor({ state: "hidden" });
      await report.locator("#explorer-run").selectOption("0");
      assert.deepEqual(await values(), ["–", both.toFixed(2), "–", "–"]);
    });
  },
);

await testInBrowser("the bits per dimension of a test image can be stopped on the way", async (browser) => {
  const digits = { shape: [1, 1, 28, 28] as const, image: new Float32Array(784).fill(0.5) };
  const page = reportHtml(withLive(await trainedReport(), { tests: digits }));
  await fromFile(browser, page, {}, async (report) => {
    await untilLive(report);
    await report.locator("#bits-examples button").evaluate((button: HTMLElement) => {
      for (let i = 0; i < 20; i++) button.click(); // some seconds of work
    });
    await report.locator("#bits-progress").waitFor({ state: "visible" });
    await report.locator("#bits-stop").click();
    await report.waitForFunction(() => document.getElementById("bits-text")!.textContent === "Stopped");
    await report.locator("#bits-stop").waitFor({ state: "hidden" });
    assert.ok(!await report.locator("#bits-progress").isVisible());
    assert.equal(await text(report, "live-text"), "Stopped");
  });
});
