/// <reference lib="dom" />
/** A visit to a report of several networks, one of them a flow map. */

import assert from "node:assert/strict";
import type { Trajectory } from "../../../viz/report/mod.ts";
import { assertClose } from "../../testing.ts";
import type { Network, Solving } from "./live_data.ts";
import { clearText, drawSeed, optionsOf, over, type Page, pixel, told, untilText } from "./opened.ts";

/** Chooses a run of a report. */
export async function choose(page: Page, run: string, condition?: "visible" | "hidden"): Promise<void> {
  await page.locator("#explorer-run").selectOption({ label: run });
  if (condition) await page.locator("#live-guidance-label").waitFor({ state: condition });
}

/** Compares a pixel of the shown sample with a flow of the library. */
async function assertShows(page: Page, { image, velocity }: Trajectory, words: RegExp): Promise<void> {
  await untilText(page, "flow-times", words);
  const found = await pixel(page, 3, 2);
  assertClose(found.value, over(image, 3, 2), 1e-5);
  assertClose(found.velocity, over(velocity, 3, 2), 1e-5);
}

/** Presses "Compare steps" and compares the five samples with the library's flows from the same noise. */
async function assertCompares(
  page: Page,
  of: string,
  solver: "map" | "euler",
  expected: FlowOf,
): Promise<void> {
  await clearText(page);
  await page.getByRole("button", { name: "Compare steps" }).click();
  await told(page, "Seed 5 with 1, 2, 4, 8, 20 evaluations: ");
  const row = page.getByRole("group", { name: `Evaluations of the network from the noise of ${of}` });
  assert.deepEqual(await row.locator(".under").allInnerTexts(), ["1", "2", "4", "8", "20"]);
  const tops = await row.locator("canvas").evaluateAll((all) =>
    all.map((c) => c.getBoundingClientRect().top)
  );
  assert.equal(new Set(tops).size, 1, "side by side");
  for (
    const [count, how] of [[1, { solver, steps: 1 }], [4, { solver, steps: 4 }], [20, {
      solver: "heun",
      steps: 10,
    }]] as const
  ) {
    const name = `Look at ${of} with ${count} evaluation${count > 1 ? "s" : ""}`;
    await page.getByRole("button", { name, exact: true }).click();
    await assertShows(page, await expected(how), new RegExp(`, ${count} evaluations?;`));
  }
}

type FlowOf = (how: Pick<Solving, "solver" | "steps">) => Promise<Trajectory>;

/** A flow map draws by its own steps, without guidance; on a phone, five numbers of steps are compared. */
export const takeMaps = (distilled: Network, plain: Network) => async (page: Page): Promise<void> => {
  const solver = page.locator("#live-solver");
  assert.ok(!(await optionsOf(page, "live-solver")).includes("map"), "this network is no flow map");
  await choose(page, "distilled", "hidden");
  assert.deepEqual([await solver.inputValue(), await page.locator("#live-steps").inputValue()], ["map", "1"]);
  assert.deepEqual(await optionsOf(page, "live-class"), ["all", "0", "1", "2"]);
  const label = 5 % distilled.classes;
  assert.match(await drawSeed(page, 5), /^Seed 5: 1 step of map, class 2, 1 evaluation, /);
  const ofMap: FlowOf = (how) => distilled.flow(5, { ...how, label });
  await assertShows(page, await ofMap({ solver: "map", steps: 1 }), /v is its mean velocity/);

  await page.locator("#live-seed").fill("5");
  await page.locator("#live-many").click();
  const one = page.getByRole("button", { name: "Look at seed 5 of uneven" });
  await one.click(); // waits until it is drawn
  await assertShows(
    page,
    await plain.flow(5, { solver: "euler", steps: 1 }),
    /1 step of euler, 1 evaluation/,
  );
  assert.equal(await solver.inputValue(), "heun");
  assert.ok(Number(await page.locator("#live-steps").inputValue()) > 1, "the steps of other solvers");

  await page.setViewportSize({ width: 375, height: 700 });
  await assertCompares(page, "seed 5 of uneven", "euler", (how) => plain.flow(5, how));
  await choose(page, "distilled", "hidden");
  await assertCompares(page, "seed 5 of distilled", "map", ofMap);
  assert.equal(await page.evaluate(() => document.documentElement.scrollWidth), 375);
  await page.setViewportSize({ width: 1280, height: 900 });
};
