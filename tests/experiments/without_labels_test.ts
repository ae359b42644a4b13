import assert from "node:assert/strict";
import { IDX_NAMES } from "../../experiments/data/idx_folder.ts";
import { readPlaneTrajectories } from "../../experiments/draw/plane_trajectories.ts";
import { testTask, tinyRunWithPaths } from "./cli.ts";

testTask("train works without labels, and reports samples without classes", async (place) => {
  for (const name of [IDX_NAMES.trainLabels, IDX_NAMES.testLabels]) {
    await Deno.remove(place.file("data", name));
  }
  await place.succeed("train:base", `${tinyRunWithPaths} --max-steps 2 --out run`);
  const { dataset } = JSON.parse(await Deno.readTextFile(place.file("run", "run.json")));
  assert.equal(dataset.classes, 0);
  const paths = (await readPlaneTrajectories(place.file("run")))!;
  assert.deepEqual([paths.classes, paths.real.classes, paths.classifier], [undefined, undefined, undefined]);
  const live = (page: string) => page.includes('id="early-0"');
  assert.ok(live(await Deno.readTextFile(place.file("run", "report.html"))));
  await Deno.remove(place.file("run", "early.safetensors"));
  await place.succeed("report", "run --out plain.html");
  assert.ok(!live(await Deno.readTextFile(place.file("plain.html"))));
});
