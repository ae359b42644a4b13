/// <reference lib="dom" />
/** Sixteen fresh samples as a judge sees them. */

import assert from "node:assert/strict";
import { asBytes, loadJudge, prdc } from "../../../models/mod.ts";
import { type LiveJudge, reportHtml } from "../../../viz/report/mod.ts";
import { testInBrowser } from "../../browser.ts";
import { tinyJudge } from "../../models/tiny_files.ts";
import { asked, liveReport, Network, withLive } from "./live_data.ts";
import { told, untilLive } from "./live_page.ts";
import { size } from "./made_up.ts";
import { fromFile, type Report } from "./opened.ts";

const { H, W } = size;
const P = H * W;
const [many, first, steps] = [16, 20, 4];
const network = await Network.of(3);
const labelled = await Network.of(5, 1, 3);

const weights = await tinyJudge({ classes: 3, channels: 1, height: H, width: W });
const judge = loadJudge(weights, "the judge");
const real = await judge.judge(Float32Array.from({ length: 60 * P }, (_, i) => 0.5 + 0.5 * Math.sin(i * i)));
const live: LiveJudge = { weights, reference: real.features };

/** Samples of a network at the end of their flows, in pixels. */
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

/** Draws sixteen samples of each run. */
async function drawMany(report: Report): Promise<void> {
  await untilLive(report);
  await report.locator("#live-seed").fill(`${first}`);
  await report.locator("#live-solver").selectOption("euler");
  await report.locator("#live-steps").fill(`${steps}`);
  await report.locator("#live-many").click();
  await told(report, `Seeds ${first} to ${first + many - 1}: `);
}

const percent = (share: number) => `${(100 * share).toFixed(0)} %`;

await testInBrowser(
  "reportHtml() judges sixteen fresh samples, and says how few they are",
  async (browser) => {
    const page = reportHtml(withLive(await liveReport({ one: network }), { judge: live }));
    await fromFile(browser, page, {}, async (report) => {
      await drawMany(report);
      const { probabilities, features } = await judge.judge(asBytes(await samples(network)));
      const each = Array.from({ length: many }, (_, n) => [...probabilities.subarray(3 * n, 3 * n + 3)]);
      const verdict = report.locator("#live-grid .verdict");
      await verdict.waitFor();
      assert.deepEqual(
        await report.locator("#live-grid .under").allInnerTexts(),
        each.map((shares) => `${shares.indexOf(Math.max(...shares))} ${Math.max(...shares).toFixed(2)}`),
      );
      const words = (await verdict.innerText()).replaceAll(/\s+/g, " ");
      const sure = each.filter((shares) => Math.max(...shares) >= 0.9).length;
      assert.match(words, new RegExp(`^Recognised ${sure} of 16 .* right about 25.0 % of test images`));
      assert.ok(!words.includes("As asked"), "no class was asked for");
      const found = await prdc(real.features, features);
      for (
        const [name, { value, low, high }] of [["Precision", found.precision], [
          "Recall",
          found.recall,
        ]] as const
      ) {
        const share = `${name} ${percent(value)} (95 % interval ${percent(low)} to ${percent(high)}) of `;
        assert.ok(words.includes(share), `${words} (expected ${share})`);
      }
      assert.match(
        words,
        /16 samples are few: .* 16 test images in their place get \d+ % and \d+ % on average\.$/,
      );
    });
  },
);

await testInBrowser(
  "a report judges the runs that have a judge, and counts classes as asked",
  async (browser) => {
    const page = reportHtml(withLive(await liveReport({ plain: network, labelled }), {}, { judge: live }));
    await fromFile(browser, page, {}, async (report) => {
      await untilLive(report);
      await report.locator("#explorer-run").selectOption("1");
      await report.locator("#live-condition").waitFor({ state: "visible" });
      await drawMany(report);
      const verdict = report.locator("#live-grid .verdict");
      await verdict.waitFor();
      const { probabilities } = await judge.judge(asBytes(await samples(labelled)));
      const right = Array.from({ length: many }, (_, n) => {
        const shares = [...probabilities.subarray(3 * n, 3 * n + 3)];
        return shares.indexOf(Math.max(...shares)) === (first + n) % 3;
      }).filter(Boolean).length;
      assert.equal(await verdict.count(), 1);
      assert.match(await verdict.innerText(), new RegExp(`As asked ${right} of 16\\.`));
      assert.equal(await report.locator("#live-grid .under").count(), many);
    });
  },
);
