import assert from "node:assert/strict";
import { join } from "node:path";
import { playgroundDigits } from "../../experiments/serve.ts";
import { DigitsTraining } from "../../playground/digits_training.ts";
import { openDevice, PlaneTraining } from "../../playground/plane_training.ts";
import { dotCount, PlaneViews } from "../../playground/plane_views.ts";
import { programText } from "../../playground/program_text.ts";
import { settingsOf } from "../../playground/settings.ts";
import * as flow from "../../web/mod.ts";
import { writePlayground } from "../../tools/playground_file.ts";
import { withFolder } from "../folder.ts";
import { testNeeding } from "../permissions.ts";
import { assertClose } from "../testing.ts";

const base = import.meta.resolve("../../");

for (
  const address of [
    "#steps=30&moves=2",
    "#steps=20&data=ring&pairs=nearest&path=cosine&prediction=noise&times=u_shaped&solver=heun&moves=2&hidden=12",
    "#steps=6&objective=one_step&batch=32&seed=4&moves=2",
    "#steps=6&path=cosine&prediction=data&hidden=8&batch=8&moves=3",
    "#step=digits&start=blank14&digit_steps=2",
  ]
) {
  testNeeding(
    { read: true, write: true },
    `programText() trains the same weights and draws the same dots as ${address}`,
    () =>
      withFolder(async (folder) => {
        const { settings } = settingsOf(address);
        await openDevice(flow, 1);
        const training = settings.step === "digits"
          ? new DigitsTraining(flow, await playgroundDigits(), settings)
          : new PlaneTraining(flow, settings);
        while (!training.done) await training.train(1000);
        const expected = training instanceof DigitsTraining
          ? (await training.draw(() => Promise.resolve())).many
          : (await new PlaneViews(flow, training).dots(settings)).places.subarray(-2 * dotCount);
        const trained = await training.digest();
        const file = join(folder, "program.ts");
        await Deno.writeTextFile(file, programText(settings, base).replaceAll('from "./', `from "${base}`));
        const printed: unknown[] = [];
        const { log } = console;
        console.log = (...words) => void printed.push(...words);
        try {
          await import(`file://${file}`);
        } finally {
          console.log = log;
        }
        const [loss, digest, dots] = printed as [string, string, Float32Array];
        assert.match(loss, /^loss \d+\.\d{4}, averaged over the last steps$/);
        assert.equal(digest, trained);
        assertClose(dots, expected, 1e-5);
      }),
  );
}

testNeeding(
  { read: true, write: true, net: true },
  "the playground is one file below 3 MB",
  () =>
    withFolder(async (folder) => {
      await writePlayground(join(folder, "page.html"));
      const html = await Deno.readTextFile(join(folder, "page.html"));
      assert.ok(html.length < 3e6);
      const markup = html.replace(/<(script|style)[\s\S]*?<\/\1>/g, "");
      const loads = markup.replaceAll(/<a [^>]*>/g, "");
      assert.doesNotMatch(loads, /\b(src|href)="(?!data:,)/);
    }),
);
