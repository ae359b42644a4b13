import assert from "node:assert/strict";
import { openDevice, PlaneTraining } from "../../playground/plane_training.ts";
import { settingsOf } from "../../playground/settings.ts";
import * as flow from "../../web/mod.ts";
import { testTask } from "../experiments/cli.ts";

testTask(
  "playground --run prints the digest of what an address trains, and refuses what cannot be",
  async (place) => {
    await openDevice(flow, 1);
    const training = new PlaneTraining(flow, settingsOf("#steps=15&data=letters").settings);
    while (!training.done) await training.train(1000);
    const { stdout, stderr } = await place.succeed(
      "playground",
      "--run http://127.0.0.1:8000/#steps=15&data=letters",
    );
    assert.equal(stdout, `${await training.digest()}\n`);
    assert.match(
      stderr,
      /^15 steps on letters, seed 1, in [\d.]+ s on 1 thread, .*: loss \d\.\d{4}, the mean of the last 15\n/,
    );
    for (
      const [address, line] of [
        [
          "#hidden=0",
          /^ConfigError: Cannot train #hidden=0: hidden is "0" \(expected a whole number from 4 to 256\)\n$/,
        ],
        [
          "#data=drawn",
          /^PlaygroundError: Cannot train on drawn data: there are no strokes \(draw some in the page\)\n$/,
        ],
      ] as const
    ) {
      const { code, stderr } = await place.run("playground", `--run ${address}`);
      assert.equal(code, 1);
      assert.match(stderr, line);
    }
  },
);

testTask("build:playground writes one file below 3 MB that asks for no other", async (place) => {
  const { stderr } = await place.succeed("build:playground", "--out page.html");
  assert.match(stderr, /^page\.html: 2\.\d\d MB; open it in a browser\n$/);
  const html = await Deno.readTextFile(place.file("page.html"));
  assert.ok(html.length < 3e6);
  const markup = html.replace(/<(script|style)[\s\S]*?<\/\1>/g, "");
  assert.doesNotMatch(markup, /\b(src|href)="(?!data:,)/);
});
