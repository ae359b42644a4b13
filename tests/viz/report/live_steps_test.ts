/// <reference lib="dom" />
/** A reader sees where a solver put its steps. */

import assert from "node:assert/strict";
import { AdaptiveSampler, noise, openCheckpoint } from "../../../models/mod.ts";
import { reportHtml } from "../../../viz/report/mod.ts";
import { testInBrowser } from "../../browser.ts";
import { assertClose } from "../../testing.ts";
import { liveReport, Network, trainedCheckpoint, trainedReport } from "./live_data.ts";
import { draw, told, untilLive } from "./live_page.ts";
import { fromFile, moveTo, type Report, text } from "./opened.ts";

const network = await Network.of(3);
const tolerance = 1e-4;

/** The marks of a kind in a strip: from where to where, in per cent of t. */
function marks(report: Report, place: string, kind: "step" | "rejected"): Promise<[number, number][]> {
  return report.locator(`${place} .${kind}`).evaluateAll((all) =>
    all.map((mark) => {
      const [x, end, width] = ["x", "x2", "width"].map((name) =>
        parseFloat(mark.getAttribute(name) ?? "NaN")
      );
      return mark.localName === "rect" ? [x, x + width] : [parseFloat(mark.getAttribute("x1")!), end];
    })
  );
}

/** Steps of the repository's network from the noise of a seed. */
async function trainedSteps(seed: number, tolerance: number) {
  const { model, shape } = await openCheckpoint(trainedCheckpoint);
  const sampler = new AdaptiveSampler(model, [1, ...shape], { rtol: tolerance, atol: tolerance });
  const { steps: [tried], evaluations } = await sampler.solve(noise(seed, [1, ...shape]));
  return { tried, evaluations };
}

await testInBrowser(
  "reportHtml() shows where a solver put its steps, and what it rejected",
  async (browser) => {
    await fromFile(browser, reportHtml(await trainedReport()), {}, async (report) => {
      await untilLive(report);
      const strip = report.locator("#step-strip");
      assert.ok(!await strip.isVisible(), "it is not known how the recorded sample was solved");
      await report.locator("#live-solver").selectOption({ label: "dopri5, own steps" });
      await report.locator("#live-tolerance").selectOption("0.001");
      await report.locator("#live-seed").fill("1");
      await report.locator("#live-draw").click();
      await strip.waitFor({ state: "visible" });

      const { tried, evaluations } = await trainedSteps(1, 1e-3);
      for (const kind of ["step", "rejected"] as const) {
        const expected = tried.filter(({ accepted }) => accepted === (kind === "step"));
        assert.ok(expected.length > 0, kind);
        const found = await marks(report, "#step-strip", kind);
        assertClose(found.flat(), expected.flatMap(({ t, dt }) => [100 * t, 100 * (t + dt)]), 0.1);
      }
      const count = (accepted: boolean) => tried.filter((step) => step.accepted === accepted).length;
      const words = `${count(true)} taken \\(bars\\), .* long; ${
        count(false)
      } rejected \\(dashes\\), ${evaluations} `;
      assert.match(await text(report, "step-strip"), new RegExp(words));
      await moveTo(report, 50);
      assert.equal(await strip.locator(".cursor").getAttribute("x1"), "50.000%");

      await draw(report, 8, "heun", 3);
      await strip.waitFor({ state: "hidden" });
    });
  },
);

await testInBrowser("reportHtml() shows the steps of sixteen samples, a row each", async (browser) => {
  await fromFile(browser, reportHtml(await liveReport({ one: network })), {}, async (report) => {
    await untilLive(report);
    await report.locator("#live-solver").selectOption({ label: "dopri5, own steps" });
    await report.locator("#live-tolerance").selectOption(`${tolerance}`);
    await report.locator("#live-seed").fill("7");
    await report.locator("#live-many").click();
    await report.locator("#live-grid .strip").waitFor();
    await told(report, "Seeds 7 to 22:");
    const found = await marks(report, "#live-grid", "step");
    assert.equal(found.filter(([from]) => from === 0).length, 16, "each row begins with noise");
    assert.equal(found.filter(([, to]) => Math.abs(to - 100) < 1e-2).length, 16, "and ends with an image");
    const { tried } = await network.ownSteps(7, tolerance);
    const taken = tried.filter(({ accepted }) => accepted);
    assertClose(
      found.slice(0, taken.length).flat(),
      taken.flatMap(({ t, dt }) => [100 * t, 100 * (t + dt)]),
      2e-2, // its neighbours change nothing
    );

    await report.getByRole("button", { name: "Look at seed 7", exact: true }).click();
    await report.locator("#step-strip").waitFor({ state: "visible" });
    assert.equal((await marks(report, "#step-strip", "step")).length, taken.length);

    await report.locator("#live-solver").selectOption("heun");
    await report.locator("#live-many").click();
    await told(report, "Seeds 23 to 38:");
    assert.equal(await report.locator("#live-grid .strip").count(), 0);
  });
});
