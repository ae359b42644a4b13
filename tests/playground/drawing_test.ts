/// <reference lib="dom" />
/** The plane of the playground in Chromium: data of one's own, and what is drawn while training rests. */

import assert from "node:assert/strict";
import { playgroundPage } from "../../experiments/build_playground.ts";
import { openDevice, PlaneTraining } from "../../playground/plane_training.ts";
import { settingsOf } from "../../playground/settings.ts";
import * as flow from "../../web/mod.ts";
import { testReport, twoFrames } from "../viz/report/opened.ts";
import { digestOfPage, goTo, hashOf, pixels, readingOf, untilReading } from "./opened_page.ts";

const html = await playgroundPage();

await testReport("the playground takes drawn data in every step, and draws while it rests", html, {
  async "the network's arrow is drawn wherever one points, while training rests"(page) {
    await goTo(page, "#steps=200&step=average&t=0.3");
    await digestOfPage(page);
    const { x, y, width } = (await page.locator("#plane").boundingBox())!;
    for (const [right, down] of [[0.2, 0.2], [0.6, 0.4], [0.3, 0.7], [0.8, 0.8]]) {
      await page.mouse.move(x + right * width, y + down * width);
      await untilReading(page, "average", "away");
      await twoFrames(page);
      const drawn = await page.evaluate(() => {
        const plane = document.getElementById("plane") as HTMLCanvasElement;
        const copy = Object.assign(document.createElement("canvas"), {
          width: plane.width,
          height: plane.height,
        });
        const context = copy.getContext("2d", { willReadFrequently: true })!;
        context.drawImage(plane, 0, 0);
        context.fillStyle = getComputedStyle(document.documentElement).getPropertyValue("--velocity");
        const { data } = context.getImageData(0, 0, copy.width, copy.height);
        context.fillRect(0, 0, 1, 1);
        const colour = context.getImageData(0, 0, 1, 1).data;
        return Array.from({ length: data.length / 4 }, (_, i) => i)
          .filter((i) => [0, 1, 2, 3].every((c) => Math.abs(data[4 * i + c] - colour[c]) < 4)).length;
      });
      assert.ok(drawn > 40, `${drawn} pixels of the arrow at ${right}, ${down}`);
    }
  },
  async "draws data by mouse and by keys"(page) {
    await goTo(page, "#steps=20");
    await page.locator("#data").selectOption("drawn");
    const { x, y, width } = (await page.locator("#plane").boundingBox())!;
    await page.mouse.move(x + 0.2 * width, y + 0.5 * width);
    await page.mouse.down();
    await page.mouse.move(x + 0.8 * width, y + 0.5 * width, { steps: 8 });
    await page.mouse.up();
    await page.waitForFunction(() => /drawn=[\w-]{4,}/.test(location.hash));
    const first = await hashOf(page);
    await page.locator("#plane").focus();
    await page.keyboard.press(" ");
    for (let i = 0; i < 5; i++) await page.keyboard.press("ArrowUp");
    await page.keyboard.press(" ");
    await page.waitForFunction((first) => location.hash !== first, first);
    assert.ok((await hashOf(page)).length > first.length);
    await page.locator("#clear").click();
    assert.doesNotMatch(await hashOf(page), /drawn=\w\w/);
  },
  async "waits for data that is to be drawn, in every step, and trains on nothing else"(page) {
    await goTo(page, "#steps=30");
    await digestOfPage(page);
    await page.locator("#data").selectOption("drawn");
    const empty = new Set<string>();
    for (const name of ["1 Pair", "2 Average", "3 Follow", "4 Fewer steps"]) {
      await page.getByRole("link", { name, exact: true }).click();
      assert.equal(await page.locator("#plane").getAttribute("aria-label"), "Draw data here");
      for (const id of ["run", "one-step", "save-weights", "copy-code"]) {
        assert.ok(await page.locator(`#${id}`).isDisabled(), `${id} in ${name}`);
      }
      await twoFrames(page);
      empty.add(await pixels(page));
      assert.equal(await page.locator("#message").isVisible(), false);
    }
    assert.equal(empty.size, 1, "the plane asks to draw, and shows no picture of a step");
    await page.getByRole("link", { name: "2 Average", exact: true }).click();
    const { x, y, width } = (await page.locator("#plane").boundingBox())!;
    await page.mouse.move(x + 0.3 * width, y + 0.5 * width);
    await page.mouse.down();
    await page.mouse.move(x + 0.7 * width, y + 0.5 * width, { steps: 8 });
    assert.ok(!empty.has(await pixels(page)), "a stroke is seen");
    await page.mouse.up();
    const digest = await digestOfPage(page);
    await openDevice(flow, 1);
    const training = new PlaneTraining(flow, settingsOf(await hashOf(page)).settings);
    while (!training.done) await training.train(1000);
    assert.equal(digest, await training.digest());
    await page.mouse.move(x + 0.4 * width, y + 0.4 * width); // looks, and draws no more
    await untilReading(page, "average", "away");
    await page.locator("#clear").click();
    assert.ok(await page.locator("#run").isDisabled());
    assert.deepEqual(await readingOf(page, "average"), {});
  },
});
