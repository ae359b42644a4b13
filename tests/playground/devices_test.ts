/// <reference lib="dom" />
/** The playground without a device to compute on, and when a GPU is lost. */

import assert from "node:assert/strict";
import { join } from "node:path";
import { testInBrowser, withoutDevices } from "../browser.ts";
import { withFolder } from "../folder.ts";
import { testReport } from "../viz/report/opened.ts";
import { text } from "../viz/report/reader.ts";
import { playground } from "./opened_page.ts";

const { html } = await playground();

await testReport("the playground reports in one line that a browser has no device to compute on", html, {
  async "shows a line instead of training"(page) {
    await page.waitForFunction(() => !document.getElementById("message")!.hidden);
    assert.equal(
      await text(page, "message"),
      "Cannot open the CPU device: TypeError: no shared memory. Press Reset to start over.",
    );
    assert.equal(await text(page, "run"), "Train");
  },
  async "does not move by itself if the reader prefers reduced motion"(page) {
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
}, { before: withoutDevices });

await testInBrowser(
  "the playground continues with the latest weights when a GPU is lost",
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
        /^The WebGPU device was lost .*\. Training continues on the processor with the latest weights\.$/,
      );
      const step = await page.evaluate(() => Number(document.documentElement.dataset.step));
      assert.equal(await page.evaluate(() => location.hash), "#steps=1000000");
      await page.waitForFunction((step) => Number(document.documentElement.dataset.step) > step, step);
      assert.ok(step > 20, `${step}`);
      assert.match(await text(page, "status"), / · 1 thread$/);
    }),
);

/** A script for the start of a page: a message to the channel "lose" makes its workers lose their devices. */
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
