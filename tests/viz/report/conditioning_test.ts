/// <reference lib="dom" />
/** Class and guidance in a report. */

import assert from "node:assert/strict";
import { reportHtml } from "../../../viz/report/mod.ts";
import { assertClose } from "../../testing.ts";
import { asked, liveReport, Network, recorded, type Solving } from "./live_data.ts";
import { draw, over, pixel, type Report, rounding, testReport, text, told, untilLive } from "./opened.ts";

const classes = 3;
const network = await Network.of(3, 1, classes);
const page = reportHtml(await liveReport({ labelled: network, plain: await Network.of(4) }));
const how = { solver: "euler", steps: 4 } as const;
const [plain, early] = [await Network.of(4), await Network.of(5)];
const awayPage = reportHtml(await liveReport({ other: plain, plain }, { plain: early }));

/** Chooses class and guidance, draws a sample of a seed, and compares it with the library's. */
async function ask(report: Report, label: string, guidance: string, seed: number, expected: Solving) {
  await report.locator("#live-class").selectOption(label);
  await report.locator("#live-guidance").fill(guidance);
  const words = await draw(report, seed, how.solver, how.steps);
  const flow = await network.flow(seed, expected);
  const { value, velocity } = await pixel(report, 3, 2);
  assertClose(value, over(flow.image, 3, 2), 1e-5);
  assertClose(velocity, over(flow.velocity, 3, 2), 1e-5);
  return words;
}

async function askForClasses(report: Report): Promise<void> {
  await untilLive(report);
  await report.locator("#live-condition").waitFor({ state: "visible" });
  assert.deepEqual(await report.locator("#live-class option").allTextContents(), [
    "all",
    "0",
    "1",
    "2",
    "none",
  ]);
  assert.equal(await report.locator("#live-guidance").inputValue(), `${asked.guidance}`);
  assert.match(
    await text(report, "flow-times"),
    /^Sample 1; noise 1 of seed 7, 20 steps of euler, class 1, guidance 2;/,
  );

  // Draw the recorded sample again, with the settings that the report shows.
  const before = await pixel(report, 4, 7);
  await report.locator("#live-class").selectOption(`${asked.label}`);
  assert.match(
    await draw(report, recorded.seed, recorded.solver, recorded.steps),
    /^Seed 7: 20 steps of euler, class 1, guidance 2, 20 evaluations with and without the class, \d{1,3}(,\d{3})* ms on CPU, 1 thread\.$/,
  );
  assertClose((await pixel(report, 4, 7)).value, before.value, rounding);

  // One recording serves all classes and scales.
  assert.match(
    await ask(report, "2", "3.5", 5, { ...how, label: 2, guidance: 3.5 }),
    /^Seed 5: 4 steps of euler, class 2, guidance 3.5, 4 evaluations with and without the class, /,
  );
  await ask(report, "0", "0", 5, { ...how, label: 0, guidance: 0 });
  assert.match(
    await ask(report, "1", "1", 5, { ...how, label: 1 }),
    /^Seed 5: 4 steps of euler, class 1, 4 evaluations, /,
  );
  assert.match(await ask(report, "none", "2", 5, how), /^Seed 5: 4 steps of euler, 4 evaluations, /);
  await ask(report, "all", "2", 5, { ...how, label: 5 % classes, guidance: 2 });

  await report.locator("#live-guidance").fill("21");
  await report.locator("#live-draw").click();
  await told(report, "Guidance is 21 (expected a number from 0 to 20).");
  await report.locator("#live-guidance").fill("2");
}

/** Draws sixteen samples of all classes by a network with classes and one without; each picture opens its trajectory. */
async function askForAll(report: Report): Promise<void> {
  await untilLive(report);
  await report.locator("#live-condition").waitFor({ state: "visible" });
  await report.locator("#live-seed").fill("10");
  await report.locator("#live-solver").selectOption(how.solver);
  await report.locator("#live-steps").fill(`${how.steps}`);
  await report.locator("#live-many").click();
  await told(report, "Seeds 10 to 25:");
  await report.waitForFunction(() => document.querySelectorAll("#live-grid button:enabled").length > 32);
  await report.getByRole("button", { name: "Look at seed 12 of labelled" }).click();
  const flow = await network.flow(12, { ...how, label: 12 % classes, guidance: 2 });
  assertClose((await pixel(report, 3, 2)).value, over(flow.image, 3, 2), 1e-5);
  assert.match(
    await text(report, "flow-times"),
    /^Seed 12; drawn in this page by 4 steps of euler, class 0, guidance 2, 4 evaluations;/,
  );

  await report.locator("#explorer-run").selectOption("1");
  await report.locator("#live-condition").waitFor({ state: "hidden" });
  assert.match(await draw(report, 5, how.solver, how.steps), /^Seed 5: 4 steps of euler, 4 evaluations, /);

  // The controls are those of the shown run, even if that stopped work.
  await report.locator("#explorer-run").selectOption("0");
  await report.locator("#live-condition").waitFor({ state: "visible" });
  await report.evaluate(() => {
    const [many, run, stop] = ["live-many", "explorer-run", "live-stop"].map((id) =>
      document.getElementById(id) as HTMLSelectElement
    );
    many.click();
    run.value = "1";
    run.dispatchEvent(new Event("change"));
    stop.click();
  });
  await report.locator("#live-condition").waitFor({ state: "hidden" });
}

/** Draws with autoguidance of several scales by a network without classes. */
async function guideAway(report: Report): Promise<void> {
  await untilLive(report);
  assert.ok(!await report.locator("#live-condition").isVisible());
  await report.locator("#explorer-run").selectOption("1");
  const guidance = report.locator("#live-guidance");
  await guidance.waitFor({ state: "visible" });
  assert.ok(!await report.locator("#live-class").isVisible());
  assert.equal(await guidance.inputValue(), `${asked.guidance}`);
  for (const [seed, scale] of [2, 0, 1, 3.5].entries()) {
    await guidance.fill(`${scale}`);
    const words = await draw(report, seed, how.solver, how.steps);
    assert.ok(
      words.startsWith(
        scale === 1
          ? `Seed ${seed}: 4 steps of euler, 4 evaluations, `
          : `Seed ${seed}: 4 steps of euler, autoguidance ${scale}, ` +
            "4 evaluations of the network and its early weights, ",
      ),
      words,
    );
    const flow = await plain.flow(seed, { ...how, early, guidance: scale });
    const { value, velocity } = await pixel(report, 3, 2);
    assertClose(value, over(flow.image, 3, 2), 1e-5);
    assertClose(velocity, over(flow.velocity, 3, 2), 1e-5);
  }
  await report.locator("#live-seed").fill("10");
  await report.locator("#live-many").click();
  await told(
    report,
    "Seeds 10 to 25: 4 steps of euler, 4 evaluations of 16 images of the network and its early weights, ",
  );
  await report.getByRole("button", { name: "Look at seed 12 of plain" }).click();
  const flow = await plain.flow(12, { ...how, early, guidance: 3.5 });
  assertClose((await pixel(report, 3, 2)).value, over(flow.image, 3, 2), 1e-5);

  await report.locator("#explorer-run").selectOption("0");
  await report.locator("#live-condition").waitFor({ state: "hidden" });
  assert.match(await draw(report, 5, how.solver, how.steps), /^Seed 5: 4 steps of euler, 4 evaluations, /);
}

await testReport(
  "reportHtml() draws with autoguidance by a network without classes",
  awayPage,
  guideAway,
);

await testReport(
  "reportHtml() draws the chosen class, or all classes, with the chosen guidance",
  page,
  { askForClasses, askForAll },
);
