/// <reference lib="dom" />
/** The playground where there is nothing to compute on, and where a GPU is lost. */

import assert from "node:assert/strict";
import { join } from "node:path";
import { playgroundPage } from "../../experiments/build_playground.ts";
import { testInBrowserWithWebGpu, withoutDevices } from "../browser.ts";
import { withFolder } from "../folder.ts";
import { testReport, text } from "../viz/report/opened.ts";

const html = await playgroundPage();

await testReport(
  "the playground says in one line that a browser has nothing to compute on",
  html,
  {
    async "a line instead of a training"(page) {
      await page.waitForFunction(() => !document.getElementById("message")!.hidden);
      assert.equal(
        await text(page, "message"),
        "Cannot open the CPU device: TypeError: no shared memory. Press Reset to start over.",
      );
      assert.equal(await text(page, "run"), "Train");
    },
    async "nothing moves by itself for those who want that"(page) {
      await page.emulateMedia({ reducedMotion: "reduce" });
      await page.reload();
      await page.waitForFunction(() => !document.getElementById("message")!.hidden);
      assert.equal(await text(page, "play"), "Play");
      assert.equal(await text(page, "t-text"), "t = 1.00");
      await page.evaluate(() => location.hash = "#step=follow");
      await page.evaluate(() => {
        const shown = document.getElementById("t-text")!;
        const { times } = Object.assign(globalThis, { times: new Set<string>() });
        new MutationObserver(() => times.add(shown.textContent!)).observe(shown, { childList: true });
      });
      await page.locator("#play").click();
      await page.waitForFunction(() => document.getElementById("play")!.textContent === "Play");
      const stills = await page.evaluate(() => [...(globalThis as unknown as { times: Set<string> }).times]);
      assert.deepEqual(stills, [0, 0.25, 0.5, 0.75, 1].map((t) => `t = ${t.toFixed(2)}`));
    },
  },
  { before: withoutDevices },
);

await testInBrowserWithWebGpu(
  "the playground goes on with the latest weights after the loss of a GPU",
  (browser) =>
    withFolder(async (folder) => {
      const path = join(folder, "page.html");
      await Deno.writeTextFile(path, html);
      const page = await browser.newPage();
      await page.addInitScript(losingDevices);
      await page.goto(`file://${path}#device=webgpu&steps=1000000`);
      await page.waitForFunction(() => Number(document.documentElement.dataset.step) > 20);
      assert.match(await text(page, "status"), / · GPU$/);
      await page.evaluate(() => new BroadcastChannel("lose").postMessage(""));
      await page.waitForFunction(() => !document.getElementById("message")!.hidden);
      assert.match(
        await text(page, "message"),
        /^The WebGPU device was lost .*\. The processor goes on with the latest weights\.$/,
      );
      const step = await page.evaluate(() => Number(document.documentElement.dataset.step));
      assert.ok(step > 20, `${step}`);
      assert.equal(await page.evaluate(() => location.hash), "#steps=1000000");
      await page.waitForFunction((step) => Number(document.documentElement.dataset.step) !== step, step);
      const next = await page.evaluate(() => Number(document.documentElement.dataset.step));
      assert.ok(next > step, `after step ${step} comes ${next}`);
      assert.match(await text(page, "status"), / · 1 thread$/);
    }),
);

/** Script that runs first in a page: devices of its workers are lost at a message to the channel "lose". */
function losingDevices(): void {
  const lose = () => {
    const { requestDevice } = GPUAdapter.prototype;
    GPUAdapter.prototype.requestDevice = async function (...given) {
      const device = await requestDevice.apply(this, given);
      new BroadcastChannel("lose").onmessage = () => device.destroy();
      return device;
    };
  };
  const { createObjectURL } = URL;
  URL.createObjectURL = (program: Blob) =>
    createObjectURL(
      program.type === "text/javascript"
        ? new Blob([`(${lose})();`, program], { type: program.type })
        : program,
    );
}
