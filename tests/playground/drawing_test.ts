/// <reference lib="dom" />
/** The playground's plane in Chromium: numbers of its steps, drawn data, and what it draws while training is paused. */

import assert from "node:assert/strict";
import { ExactField } from "../../playground/exact_field.ts";
import { planePoints } from "../../playground/plane_data.ts";
import { openDevice, PlaneTraining } from "../../playground/plane_training.ts";
import { distanceFromData } from "../../playground/page/readings.ts";
import { PlaneViews } from "../../playground/plane_views.ts";
import { settingsOf } from "../../playground/settings.ts";
import * as flow from "../../web/mod.ts";
import { assertClose } from "../testing.ts";
import { testReport } from "../viz/report/opened.ts";
import { twoFrames } from "../viz/report/reader.ts";
import {
  changing,
  digestInDeno,
  digestOfPage,
  goTo,
  hashOf,
  hurrying,
  pixels,
  playground,
  readingOf,
  stroke,
  untilReading,
} from "./opened_page.ts";

const { html } = await playground();

await testReport(
  "the playground's plane: numbers of its steps, drawn data, and drawing while paused",
  html,
  {
    async "trains an untrained copy step by step, with the same weights as in Deno"(page) {
      await goTo(page, "#steps=60&hidden=16&step=average&t=0.3");
      await page.mouse.move(0, 0);
      await digestOfPage(page);
      const after = async (steps: number) => {
        await untilReading(page, "average", "step", steps);
        return (await readingOf(page, "average")).away;
      };
      const train = (name: string) =>
        page.locator("#copy").getByRole("button", { name, exact: true }).click();
      await openDevice(flow, 1);
      const training = new PlaneTraining(flow, settingsOf(await hashOf(page)).settings);
      const views = new PlaneViews(flow, training);
      const { mean } = new ExactField(training.points, "linear").meeting([-0.7, -1], 0.3);
      await train("Start over");
      for (const [name, steps] of [["", 0], ["1 step", 1], ["10", 11], ["all", 60]] as const) {
        if (name) await train(name);
        training.continueTo(steps);
        while (training.step < steps) await training.train(1000);
        const [x, y] = await views.look([-0.7, -1], 0.3);
        assertClose([await after(steps)], [Math.hypot(x - mean[0], y - mean[1])], 1e-5);
      }
      await train("Start over");
      await after(0);
    },
    async "computes the error of an answer: the spread plus half its squared distance to the mean"(page) {
      await goTo(page, "#steps=60&step=average&t=0.5");
      await digestOfPage(page);
      await page.locator("#why-mean > summary").click();
      const numbers = async () => {
        await twoFrames(page);
        const { error, spread, distance } = await page.evaluate(() => ({
          ...document.getElementById("error-text")!.dataset,
        }));
        assertClose([Number(error)], [Number(spread) + Number(distance)], 1e-9);
        return [Number(spread), Number(distance)];
      };
      const exact = new ExactField(planePoints({ data: "moons", drawn: "" }), "linear");
      const { mean: [x, y], spread } = exact.meeting([-0.7, -1], 0.5);
      assertClose(await numbers(), [spread, ((1.2 - x) ** 2 + (-0.4 - y) ** 2) / 2], 1e-9);
      const at = ([x, y]: readonly number[]) => [(x / 3.2 + 1) / 2, (1 - y / 3.2) / 2] as const;
      await stroke(page, [at([-0.7 + 0.5 * 1.2, -1 - 0.5 * 0.4]), at([-0.7 + 0.5 * x, -1 + 0.5 * y])]);
      assert.ok((await numbers())[1] < 1e-3, "the error of the mean is the spread");
      await page.locator("#plane").focus();
      await page.keyboard.press("Shift+ArrowRight");
      assert.ok(Math.abs((await numbers())[1] - (0.16 / 0.5) ** 2 / 2) < 0.02);
      await page.locator("#why-mean > summary").click();
    },
    async "shows the mean at the pointer, and by keys; its spread collapses with t"(page) {
      await goTo(page, "#steps=200&step=average&t=0.3");
      const { x, y, width } = (await page.locator("#plane").boundingBox())!;
      await page.mouse.move(x + 0.7 * width, y + 0.3 * width);
      await untilReading(page, "average", "away");
      const early = await readingOf(page, "average");
      assert.ok(early.x < 0 && early.y < 0 && early.away > 0 && early.spread > 1, JSON.stringify(early));
      await page.locator("#plane").focus();
      await changing(page, "average-text", () => page.keyboard.press("ArrowLeft"));
      await page.locator("#t").focus();
      for (const key of ["End", "PageDown"]) await page.keyboard.press(key); // a tenth before t = 1
      await untilReading(page, "average", "away");
      assert.ok((await readingOf(page, "average")).spread < early.spread / 2);
      assert.match(await hashOf(page), /t=0.9\b/);
    },
    async "drops a dot"(page) {
      await goTo(page, "#steps=200&step=follow");
      await untilReading(page, "follow", "length");
      await changing(
        page,
        "follow-text",
        () => page.locator("#plane").click({ position: { x: 80, y: 300 } }),
      );
      const { length, straight } = await readingOf(page, "follow");
      assert.ok(length > straight && straight > 0.1, `${length}, ${straight}`);
    },
    async "ends farther from the data with fewer steps, as in Deno"(page) {
      await goTo(page, "#steps=200&step=few&moves=1");
      await digestOfPage(page);
      await openDevice(flow, 1);
      const training = new PlaneTraining(flow, settingsOf("#steps=200").settings);
      while (!training.done) await training.train(1000);
      const views = new PlaneViews(flow, training);
      const exact = new ExactField(training.points, "linear");
      const distances: number[] = [];
      for (const moves of [1, 32]) {
        await page.locator(`[name="choice-moves"][value="${moves}"]`).focus();
        await page.keyboard.press(" ");
        await untilReading(page, "few", "moves", moves);
        const { distance } = await readingOf(page, "few");
        const dots = await views.dots({ solver: "euler", moves, seed: 1 });
        assertClose([distance], [distanceFromData(dots, exact)], 1e-5);
        distances.push(distance);
      }
      assert.ok(distances[1] < distances[0] / 2, `${distances}`);
      assert.match(await hashOf(page), /step=few/);
    },
    async "makes trajectories longer with noise, and the crowd narrower with guidance"(page) {
      const cases = [["random", "noise", "length", 0, 2], ["classes", "scale", "spread", 4, 1]] as const;
      for (const [step, slider, name, low, high] of cases) {
        await goTo(page, `#steps=200&step=${step}&${slider}=${low}`);
        const value = async (at: number) => {
          await untilReading(page, step, slider, at);
          await page.waitForTimeout(300);
          return (await readingOf(page, step))[name];
        };
        const first = await value(low);
        await page.locator(`#slide-${slider}`).fill(String(high));
        assert.ok(await value(high) > 1.2 * first, `${step}: ${first}`);
        assert.ok((await hashOf(page)).includes(`step=${step}`));
      }
    },
    async "draws the network's arrow wherever one points while training is paused"(page) {
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
      await stroke(page, [[0.2, 0.5], [0.8, 0.5]]);
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
    async "waits for drawn data in every step, and trains on nothing else"(page) {
      await goTo(page, "#steps=30");
      await digestOfPage(page);
      await page.locator("#data").selectOption("drawn");
      const empty = new Set<string>();
      for (const name of ["1 Pair", "2 Average", "3 Follow", "4 Fewer steps"]) {
        await page.getByRole("link", { name, exact: true }).click();
        assert.equal(await page.locator("#plane").getAttribute("aria-label"), "Draw data here");
        for (const id of ["run", "one-step", "copy-code"]) {
          assert.ok(await page.locator(`#${id}`).isDisabled(), `${id} in ${name}`);
        }
        await twoFrames(page);
        empty.add(await pixels(page));
        assert.equal(await page.locator("#message").isVisible(), false);
      }
      assert.equal(empty.size, 1, "the plane asks for a drawing, and shows no picture of a step");
      await page.getByRole("link", { name: "2 Average", exact: true }).click();
      await stroke(page, [[0.3, 0.5], [0.7, 0.5]], async () => {
        await twoFrames(page);
        assert.ok(!empty.has(await pixels(page)), "a stroke is visible");
      });
      const digest = await digestOfPage(page);
      assert.equal(digest, await digestInDeno(await hashOf(page)));
      await page.locator("#plane").hover({ position: { x: 200, y: 200 } }); // probes, and no longer draws
      await untilReading(page, "average", "away");
      await page.locator("#clear").click();
      assert.ok(await page.locator("#run").isDisabled());
      assert.deepEqual(await readingOf(page, "average"), {});
    },
  },
  { before: hurrying },
);
