/// <reference lib="dom" />
/** The playground in Chromium. */

import assert from "node:assert/strict";
import type { DigitsTraining } from "../../playground/digits_training.ts";
import { type Page, testReport } from "../viz/report/opened.ts";
import { picture, text, twoFrames } from "../viz/report/reader.ts";
import {
  digestInDeno,
  digestOfPage,
  goTo,
  hashOf,
  hurrying,
  pixels,
  playground,
  trainingInDeno,
  untilOther,
} from "./opened_page.ts";

const { html } = await playground();

const stepsOf = (page: Page) => page.evaluate(() => Number(document.documentElement.dataset.step));
const message = (page: Page) => page.locator("#message").innerText();

/** Whether there is text under the first row of digits. */
const hasVerdicts = (page: Page) =>
  page.evaluate(() => {
    const grid = document.getElementById("digits-grid") as HTMLCanvasElement;
    const { width, height } = grid;
    const copy = Object.assign(document.createElement("canvas"), { width, height });
    const context = copy.getContext("2d", { willReadFrequently: true })!;
    context.drawImage(grid, 0, 0);
    const scale = width / grid.clientWidth;
    const { data } = context.getImageData(0, 22 * scale + width / 10, width, 14 * scale);
    return data.some((value) => value > 0);
  });

await testReport("the playground trains from a file, and every control works by mouse and by keys", html, {
  async "starts training unasked, and a pause stops it"(page) {
    await page.waitForFunction(() => Number(document.documentElement.dataset.step) > 20);
    await page.locator("#run").click();
    assert.equal(await text(page, "run"), "Train");
    await page.waitForFunction(() => document.getElementById("more-text")!.textContent !== "");
    const paused = await stepsOf(page);
    await page.locator("#one-step").focus();
    await page.keyboard.press("Enter");
    await page.waitForFunction((step) => Number(document.documentElement.dataset.step) === step + 1, paused);
    assert.match(await text(page, "status"), /^Step [\d,]+ of 4,000 · loss \d\.\d{3} · /);
  },
  async "has the same digest as in Deno"(page) {
    const address = "#data=ring&steps=30&pairs=nearest&hidden=16";
    await goTo(page, address);
    await page.locator("#reset").click();
    const digest = await digestOfPage(page);
    assert.equal(digest, await digestInDeno(address));
    assert.match(
      await page.evaluate(() => document.getElementById("more-text")!.textContent!),
      /^After step 30, the weights have the digest \w{16}\. With steps=30, this address .*\.$/,
    );
  },
  async "pauses in the background"(page) {
    await goTo(page, "#steps=1000000");
    await page.waitForFunction(() => Number(document.documentElement.dataset.step) > 0);
    const hide = (hidden: boolean) =>
      page.evaluate((hidden) => {
        Object.defineProperty(document, "hidden", { value: hidden, configurable: true });
        document.dispatchEvent(new Event("visibilitychange"));
      }, hidden);
    await hide(true);
    await page.waitForFunction(() => document.getElementById("more-text")!.textContent !== "");
    const step = await stepsOf(page);
    await hide(false);
    await page.waitForFunction((step) => Number(document.documentElement.dataset.step) > step, step);
    await goTo(page, "#data=ring&steps=30&pairs=nearest&hidden=16");
    await digestOfPage(page);
  },
  async "continues where it stopped"(page) {
    assert.equal(await text(page, "run"), "Train on");
    await page.locator("#run").click();
    await page.waitForFunction(() => Number(document.documentElement.dataset.step) > 30);
    assert.match(await hashOf(page), /steps=4030/);
    await page.locator("#run").click();
  },
  async "opens each step of the story by its link, with its own picture"(page) {
    await goTo(page, "#steps=200");
    await page.locator("#reset").click();
    await digestOfPage(page);
    const pictures: string[] = [];
    const described = new Set<string | null>();
    for (const name of ["1 Pair", "2 Average", "3 Follow", "4 Fewer steps", "5 Randomness", "6 Classes"]) {
      const link = page.getByRole("link", { name, exact: true });
      await link.focus();
      await page.keyboard.press("Enter");
      await page.locator("#story-links [aria-current]", { hasText: name }).waitFor();
      described.add(await page.locator("#plane").getAttribute("aria-label"));
      await untilOther(page, pictures);
      pictures.push(await pixels(page));
      assert.equal(await page.locator("#story > section:visible").count(), 1);
    }
    assert.equal(described.size, 6);
    await goTo(page, "#steps=200&step=pair&t=0.4");
    await page.locator('[data-step="pair"] .next').focus();
    await page.keyboard.press("Enter");
    await page.waitForFunction(() => document.activeElement?.textContent === "Many lines meet at one place");
  },
  async "shows how likely each place is, until that is turned off"(page) {
    const plain = "#steps=200&step=pair&t=0.4"; // no dots move in this step
    const likely = `${plain}&behind=likelihood`;
    await goTo(page, plain);
    await digestOfPage(page);
    await twoFrames(page);
    const before = await pixels(page);
    await goTo(page, likely);
    await untilOther(page, [before]);
    for (const address of [plain, likely, plain]) await goTo(page, address);
    await page.waitForTimeout(500); // time for a late likelihood to arrive
    assert.equal(await pixels(page), before);
  },
  async "plays once in a step, but repeats in the first one until stopped"(page) {
    await goTo(page, "#steps=200&step=follow&t=0");
    assert.equal(await text(page, "t-text"), "t = 0.00");
    await page.locator("#play").click();
    assert.equal(await text(page, "play"), "Stop");
    await page.waitForFunction(() => document.getElementById("play")!.textContent === "Play");
    assert.equal(await page.locator("#t").getAttribute("aria-valuetext"), "t = 1.00, data");
    await goTo(page, "#steps=200");
    await page.locator("#play").click();
    const t = () => document.getElementById("t") as HTMLInputElement;
    for (const place of ["< 0.9", "=== 1", "< 0.9"]) {
      await page.waitForFunction(`Number((${t})().value) ${place}`);
    }
    await page.locator("#play").click();
    const stopped = await page.evaluate(`(${t})().value`);
    assert.ok((await hashOf(page)).includes(`t=${stopped}`), `${stopped}`);
  },
  async "highlights the mark of a term in a formula"(page) {
    await goTo(page, "#steps=20&step=pair&t=0.4");
    await page.locator('[data-step="pair"] summary').click();
    await digestOfPage(page);
    await twoFrames(page);
    const before = await pixels(page);
    for (const mark of ["noise", "data", "velocity", "place"]) {
      await page.locator(`[data-step="pair"] [data-mark="${mark}"]`).first().focus();
      await twoFrames(page);
      assert.notEqual(await pixels(page), before, mark);
    }
    await page.locator("#run").focus();
    await twoFrames(page);
    assert.equal(await pixels(page), before);
  },
  async "takes settings under More, and marks an invalid number in place"(page) {
    await goTo(page, "#steps=60");
    await page.locator("#more > summary").click();
    await page.locator("#set-hidden").fill("9999");
    await page.locator("#set-hidden").press("Tab");
    assert.equal(await page.locator("#set-hidden").getAttribute("aria-invalid"), "true");
    assert.doesNotMatch(await hashOf(page), /hidden/);
    await page.locator("#set-hidden").fill("8");
    await page.locator("#set-hidden").press("Tab");
    assert.match(await hashOf(page), /hidden=8/);
    await page.locator("#set-times").selectOption("u_shaped");
    assert.match(await hashOf(page), /times=u_shaped/);
    await digestOfPage(page);
  },
  async "reports invalid settings in an address"(page) {
    await goTo(page, "#data=cats&steps=20");
    assert.match(await message(page), /^Some settings .* ignored: data is "cats" \(expected moons, /);
    await page.locator("#reset").click();
    await digestOfPage(page);
    await goTo(page, "#steps=20");
    assert.equal(await page.locator("#message").isVisible(), false);
  },
  async "draws and judges digits, paints by mouse and by keys, and trains on"(page) {
    await goTo(page, "#steps=20&step=digits");
    await page.waitForFunction(() => document.documentElement.dataset.digits === "0");
    const right = Number(/sees the right digit in (\d+) of 10/.exec(await text(page, "held-out"))![1]);
    assert.ok(right >= 8, `${right}`);
    const changes = async (id: string, act: () => Promise<void>) => {
      const before = await picture(page, id);
      await act();
      await untilOther(page, [before], id);
    };
    const { width: all } = (await page.locator("#digits-grid").boundingBox())!;
    await changes("paint", () => page.locator("#digits-grid").click({ position: { x: 0.65 * all, y: 50 } }));
    for (const id of ["base", "label"]) assert.equal(await page.locator(`#paint-${id}`).inputValue(), "6");
    const blank = await picture(page, "paint");
    await page.locator("#paint").scrollIntoViewIfNeeded();
    const { x, y, width } = (await page.locator("#paint").boundingBox())!;
    await changes("led", async () => {
      await page.mouse.move(x + 0.2 * width, y + 0.5 * width);
      await page.mouse.down();
      await page.mouse.move(x + 0.9 * width, y + 0.5 * width, { steps: 6 });
      await page.mouse.up();
    });
    const painted = await picture(page, "paint");
    await changes("led", async () => void await page.locator("#paint-label").selectOption("8"));
    assert.ok(await picture(page, "paint") === painted, "another class keeps the strokes");
    await page.locator("#paint-eraser").check();
    await changes("paint", () => page.locator("#paint").click());
    await changes("paint", () => page.locator("#paint-undo").click());
    assert.ok(await picture(page, "paint") === painted, "undone");
    await page.locator("#paint-eraser").uncheck();
    await page.locator("#paint-undo").click();
    assert.ok(await picture(page, "paint") === blank, "nothing is painted");
    await page.locator("#paint").click();
    await changes("paint", () => page.locator("#paint-clear").click());
    assert.ok(await picture(page, "paint") === blank, "nothing is painted");
    await page.locator("#paint").focus();
    await changes("led", async () => {
      for (let i = 0; i < 6; i++) await page.keyboard.press("Shift+ArrowUp");
    });
    assert.equal(await hasVerdicts(page), true);
    await changes("digits-grid", () => page.locator("#t").fill("0.3"));
    assert.equal(await hasVerdicts(page), false, "there is no verdict under noise");
    assert.match(await text(page, "digit-size"), /^28 by 28 pixels .* 784 dimensions$/);
    await page.locator("#run").click();
    await page.waitForFunction(() => Number(document.documentElement.dataset.digits) > 0);
    assert.match(
      await text(page, "status"),
      /^Step \d+ of 20,000 · loss 0\.\d+ · [\d.]+ ms per step · 1 thread$/,
    );
    await page.locator("#run").click();
  },
  async "has the same digest for digits as Deno, and shows bits per dimension"(page) {
    const address = "#steps=20&step=digits&start=blank14&seed=2&digit_steps=3";
    await goTo(page, address);
    const training = await trainingInDeno(address) as DigitsTraining;
    const first = await training.heldOut();
    while (!training.done) await training.train(1000);
    const [now, bits] = [await training.heldOut(), await training.bits(() => Promise.resolve())];
    assert.equal(await digestOfPage(page), await training.digest());
    assert.match(await text(page, "digit-size"), /^14 by 14 pixels .* 196 dimensions$/);
    await page.waitForFunction(() => /bits/.test(document.getElementById("held-out")!.textContent!));
    const than = `${now < first ? "lower" : "not lower"} than it was at the start (${first.toFixed(4)})`;
    const [mean, error] = bits.map((value) => value.toFixed(2));
    const said = `the loss is ${
      now.toFixed(4)
    }, ${than}. These images take ${mean} ± ${error} bits per dimension`;
    assert.ok((await text(page, "held-out")).includes(said), `${await text(page, "held-out")} for ${said}`);
    await page.locator("#run").click();
    await page.waitForFunction(() => Number(document.documentElement.dataset.digits) > 3);
    assert.match(await hashOf(page), /digit_steps=20003/);
    await page.locator("#run").click();
  },
}, { before: hurrying });
