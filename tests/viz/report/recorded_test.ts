/// <reference lib="dom" />
/** Recorded samples that a page solves when a reader selects them, and pages that cannot compute. */

import assert from "node:assert/strict";
import { reportHtml } from "../../../viz/report/mod.ts";
import { withoutDevices } from "../../browser.ts";
import { assertClose } from "../../testing.ts";
import { library, Network, runOfThree, three } from "./live_data.ts";
import { over, type Page, rounding, testReport } from "./opened.ts";

const classed = await Network.of(4, 1, 3);

const reloaded = async (page: Page) => {
  await page.reload();
  await page.waitForSelector("html[data-ready]");
  await page.untilLive();
};

await testReport(
  "reportHtml() solves recorded samples when they are selected, or explains what it lacks",
  reportHtml({ runs: [await runOfThree("three", classed)], library }),
  {
    async choose(page) {
      const flows = await classed.recordedThree();
      const fastest = Math.max(...flows.flatMap(({ velocity }) => [...velocity].map(Math.abs))).toFixed(1);
      await page.untilLive();
      assert.equal(await page.text("view-v-scale"), `\u2212${fastest} to +${fastest}`);
      for (const k of [2, 0, 1]) {
        const button = page.getByLabel(`Sample ${k + 1}`, { exact: true });
        const drawn = () =>
          button.locator("canvas").evaluate((canvas: HTMLCanvasElement) => canvas.toDataURL());
        const before = await drawn();
        await button.click();
        await page.waitForFunction(
          (words) => document.getElementById("flow-times")!.textContent!.startsWith(words),
          `Sample ${k + 1}; noise ${k + 1} of seed 5, 4 steps of heun, class ${
            three.labels[k]
          }, guidance 2, ` +
            "7 evaluations; snapshot",
        );
        const { t, value, velocity } = await page.pixel(4, 7);
        assertClose(t, [...flows[k].t], 1e-6);
        assertClose(value, over(flows[k].image, 4, 7), rounding);
        assertClose(velocity, over(flows[k].velocity, 4, 7), rounding);
        assert.equal(await drawn(), before, "the solved trajectory ends at the recorded end");
      }
      const cost = "4 steps of heun, class 0, guidance 2, 7 evaluations with and without the class, ";
      assert.ok(
        (await page.text("live-text")).startsWith(`Sample 2: ${cost}`),
        await page.text("live-text"),
      );
      assert.equal(await page.locator("#explorer-samples button").count(), 3);
    },
    async chooseTwoAtOnce(page) {
      await reloaded(page);
      await page.evaluate(() => {
        const [, second, third] = document.querySelectorAll<HTMLElement>("#explorer-samples button");
        second.click();
        third.click();
      });
      await page.told("Sample 3: ");
      await page.getByLabel("Sample 2", { exact: true }).click();
      await page.told("Sample 2: ");
    },
    async failInTheWorker(page) {
      await page.addInitScript(() => {
        const { createObjectURL } = URL;
        const program = `addEventListener("message", ({ data }) => {
          if (data.path?.[0] === "noise") setTimeout(() => { throw new RangeError("memory is full"); });
        });`;
        URL.createObjectURL = (own: Blob) => createObjectURL(new Blob([program, own], { type: own.type }));
      });
      await reloaded(page);
      for (const press of ["first", "second"]) {
        await page.clearText();
        await page.locator("#live-draw").click();
        await page.told("Error: The worker that computes failed: ");
        assert.match(await page.text("live-text"), /: RangeError: memory is full$/, press);
      }
    },
    async haveNoDevice(page) {
      await page.addInitScript(withoutDevices);
      await page.reload();
      await page.locator("#explorer").scrollIntoViewIfNeeded();
      const none =
        "Cannot open the CPU device: TypeError: no shared memory; WebGPU is not available either: ";
      await page.told(`This page cannot draw new samples, and can open only the first recorded one: ${none}`);
      const buttons = page.locator("#explorer-samples button");
      const isDisabled = (all: HTMLElement[]) => all.map((button) => (button as HTMLButtonElement).disabled);
      assert.deepEqual(await buttons.evaluateAll(isDisabled), [false, true, true]);
      assert.equal((await page.pixel(4, 7)).value.length, 5);
      assert.deepEqual([await page.controls(), await page.locator("#paint").isVisible()], [false, false]);
    },
    async startNoWorker(page) {
      await page.addInitScript(() => {
        globalThis.Worker = class {
          constructor() {
            throw new DOMException("not from a file", "SecurityError");
          }
        } as unknown as typeof Worker;
      });
      await page.reload();
      await page.locator("#explorer").scrollIntoViewIfNeeded();
      const why = "This browser cannot start a worker here: SecurityError: not from a file.";
      await page.told(`This page cannot draw new samples, and can open only the first recorded one: ${why}`);
      assert.equal(await page.controls(), false);
    },
  },
);
