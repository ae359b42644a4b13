/// <reference lib="dom" />
/** The playground in Firefox and WebKit, wide and narrow: from a file and from its server. */

import assert from "node:assert/strict";
import { join } from "node:path";
import { playgroundPage } from "../../experiments/build_playground.ts";
import { isolation, serveCheckout } from "../../experiments/serve.ts";
import { openDevice, PlaneTraining } from "../../playground/plane_training.ts";
import { settingsOf } from "../../playground/settings.ts";
import * as flow from "../../web/mod.ts";
import { withFolder } from "../folder.ts";
import { complaintsOf, listener, testInOtherBrowsers, until, type VisitedPage } from "../other_browsers.ts";

const html = (await playgroundPage()).replace("<head>", `<head>${listener}`);

const address = "#steps=60&seed=5&step=follow";
await openDevice(flow, 1);
const training = new PlaneTraining(flow, settingsOf(address).settings);
while (!training.done) await training.train(1000);
const digest = await training.digest();

const textOf = (page: VisitedPage, id: string) =>
  page.run((id) => document.getElementById(id)!.textContent!, id);

async function use(page: VisitedPage, place: string): Promise<void> {
  await page.open(`${place}${address}`);
  await until(page, () => document.documentElement.dataset.digest);
  assert.equal(await page.run(() => document.documentElement.dataset.digest), digest, "the same as in Deno");

  await until(page, () => document.getElementById("follow-text")!.textContent);
  const before = await textOf(page, "follow-text");
  await page.run(() => document.getElementById("plane")!.scrollIntoView({ block: "center" }));
  const corners = await page.run(() => {
    const { left, top, width, height } = document.getElementById("plane")!.getBoundingClientRect();
    return [0.2, 0.21].map((part) => [left + part * width, top + part * height] as [number, number]);
  });
  await page.drag(corners);
  await until(page, (before) => document.getElementById("follow-text")!.textContent !== before, before);
  const clicked = await textOf(page, "follow-text");
  await page.run(() => document.getElementById("plane")!.focus());
  await page.press("ArrowRight");
  await page.press("Enter");
  await until(page, (before) => document.getElementById("follow-text")!.textContent !== before, clicked);

  await page.run(() => document.getElementById("t")!.focus());
  await page.run(() => (document.getElementById("t") as HTMLInputElement).value = "0.5");
  await page.press("ArrowRight");
  await until(page, () => location.hash.includes("t=0.51"));
  assert.equal(
    await page.run(() => document.documentElement.scrollWidth - document.documentElement.clientWidth),
    0,
    "nothing is wider than the page",
  );
  assert.deepEqual(await complaintsOf(page), []);
}

await testInOtherBrowsers(
  "the playground trains the same weights as Deno, and obeys mouse and keys",
  (page) =>
    withFolder(async (folder) => {
      const file = join(folder, "playground.html");
      await Deno.writeTextFile(file, html);
      await page.resize(1280, 900);
      await use(page, `file://${file}`);
      await using server = serveCheckout({ headers: isolation, index: html });
      await page.resize(500, 900);
      await use(page, `http://127.0.0.1:${server.addr.port}/`);
    }),
);
