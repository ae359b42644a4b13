import assert from "node:assert/strict";
import { type Browser, testInBrowser } from "../../browser.ts";
import { Workplace } from "../cli.ts";
import { writeTinyIdx } from "../data/tiny_idx.ts";
import { mirroredRun, newExperiment, noServer, quick, theServer } from "./shared_server.ts";

/** Milliseconds that a part of the page may take to appear, on a busy machine. */
const timeout = 600_000;

await testInBrowser("MLflow's page shows a run's note, charts, images and report", async (browser) => {
  await using place = new Workplace(await Deno.makeTempDir({ prefix: "flow-" }));
  await writeTinyIdx(place.file("data"));
  const { stderr } = await place.succeed("train:residual", mirroredRun, {
    ...quick,
    MLFLOW_TRACKING_URI: theServer().url,
    MLFLOW_EXPERIMENT_NAME: newExperiment(),
  });
  const [, address] = /MLflow shows the run at (\S+)/.exec(stderr)!;
  await look(browser, address);
}, noServer);

async function look(browser: Browser, address: string): Promise<void> {
  const page = await browser.newPage({ viewport: { width: 1400, height: 1000 } });
  const tab = async (name: string) => {
    await page.goto(address.replace("?", `/${name}?`));
    await page.reload(); // the address differs after its # only, which a busy page may miss
  };

  await page.goto(address);
  await page.getByText("15,329 parameters, trained on 86 images of data").waitFor({ timeout });
  await page.getByRole("cell", { name: "validation loss" }).waitFor({ timeout });
  // The samples that the note shows have been loaded.
  const samples = page.locator('img[src*="samples.png"]');
  await samples.waitFor({ timeout });
  assert.ok(
    await samples.evaluate((image) => (image as unknown as { naturalWidth: number }).naturalWidth) > 0,
  );

  await tab("model-metrics");
  await page.getByText("train_loss", { exact: true }).first().waitFor({ timeout });
  await page.locator(".js-plotly-plot .scatterlayer .point").first().waitFor({ timeout, state: "attached" });
  const images = page.locator('img[src*="get-artifact?path=images%2Fsamples"]');
  await images.first().waitFor({ timeout });
  const width = await images.first().evaluate((image) =>
    (image as unknown as { naturalWidth: number }).naturalWidth
  );
  assert.ok(width > 0, "the image over steps is not loaded");

  await tab("system-metrics");
  await page.getByText("system/process_memory_megabytes").first().waitFor({ timeout });

  await tab("artifacts/report.html");
  const report = page.frameLocator("iframe");
  await report.getByRole("heading").first().waitFor({ timeout });
  // What its script draws.
  await report.locator("canvas").first().waitFor({ timeout, state: "attached" });
  // The network in it draws, though the frame has no origin.
  await report.locator("#explorer").scrollIntoViewIfNeeded();
  await report.locator("#live-draw").click({ timeout });
  const drawn =
    /^Seed 1: 20 steps of heun, guidance 2 away from its early self, 40 evaluations of the network and /;
  await report.getByText(drawn).waitFor({ timeout });
  await page.close();
}
