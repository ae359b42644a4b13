/// <reference lib="dom" />
/** The page of a run with a custom network. */

import assert from "node:assert/strict";
import { assertClose } from "../../testing.ts";
import {
  draw,
  type Page,
  rounding,
  see,
  testReport,
  text,
  told,
  tracesOf,
  untilAt,
  untilLive,
} from "../../viz/report/opened.ts";
import { makePlace } from "../cli.ts";
import { mlp, ownRun, writeModule } from "./modules.ts";

await using place = await makePlace();

/** The report of a run with the module of a text. */
async function reportOf(out: string, module: string): Promise<string> {
  await writeModule(place, `${out}.ts`, module);
  await place.succeed(
    "train",
    `--model ${out}.ts ${ownRun.replace("--epochs 3", "--max-steps 4")} --guidance 1 --out ${out}`,
  );
  return await Deno.readTextFile(place.file(out, "report.html"));
}

/** Values and velocities of a pixel of the shown sample, of 12 x 12. */
async function pixelInMiddle(page: Page) {
  const frame = page.locator(".frame").last();
  const { width, height } = (await frame.boundingBox())!;
  await frame.click({ position: { x: 6.5 / 12 * width, y: 6.5 / 12 * height } });
  await untilAt(page, 6, 6);
  await see(page, "pixel-chart");
  const [value, , velocity] = await tracesOf(page, "pixel-chart");
  return { value: value.y, velocity: velocity.y };
}

/** Draws the recorded noise again by the program in the page. */
async function drawAgain(page: Page): Promise<void> {
  await untilLive(page);
  const recorded = await pixelInMiddle(page);
  await page.locator("#live-class").selectOption({ index: 0 });
  assert.match(await draw(page, 46020, "euler", 4), / 4 steps of euler, class 0, 4 evaluations/);
  const again = await pixelInMiddle(page);
  assertClose(again.value, recorded.value, rounding);
  assertClose(again.velocity, recorded.velocity, rounding);
}

// A comment before the first import, TypeScript that is more than types, and the library under two names.
const demanding = "/** A network. */" +
  mlp().replace("#activation: string;", "#activation: string;\n  static Kind = Kind;") +
  "enum Kind { Plain }\n" + 'import * as flow from "./library.ts";\nexport const { zeros } = flow;\n';
await Deno.writeTextFile(
  place.file("library.ts"),
  'export { zeros } from "' + import.meta.dirname + '/../../../kernels/mod.ts";\n',
);

await testReport("a report draws new samples with a custom network", await reportOf("own", demanding), {
  drawAgain,
});

const withPackage = mlp() +
  'import { deflateSync } from "npm:fflate@0.8.3";\ndeflateSync(new Uint8Array(1));\n';
await testReport(
  "a report says why it cannot run a network that imports a package",
  await reportOf("packed", withPackage),
  {
    async saysWhy(page) {
      await page.locator("#explorer").scrollIntoViewIfNeeded();
      await told(page, "This page cannot draw new samples");
      const why = "its network packed.ts imports npm:fflate@0.8.3, and a page holds only the library";
      assert.ok((await text(page, "live-text")).includes(why));
    },
  },
);
