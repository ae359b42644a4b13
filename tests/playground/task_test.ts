import assert from "node:assert/strict";
// @ts-types="npm:@types/pngjs@6.0.5"
import { PNG } from "npm:pngjs@7.0.0";
import { Buffer } from "node:buffer";
import { openDevice, PlaneTraining } from "../../playground/plane_training.ts";
import { planePoints } from "../../playground/plane_data.ts";
import { settingsOf } from "../../playground/settings.ts";
import * as flow from "../../web/mod.ts";
import { join } from "node:path";
import { writePlayground } from "../../tools/playground_file.ts";
import { testTask } from "../experiments/cli.ts";
import { withFolder } from "../folder.ts";
import { testNeeding } from "../permissions.ts";

testTask("sample draws points from weights of the playground, as a picture or an array", async (place) => {
  await openDevice(flow, 1);
  for (
    const [name, address] of [["velocity", "#steps=300"], ["steps", "#steps=2&objective=one_step&hidden=8"]]
  ) {
    const training = new PlaneTraining(flow, settingsOf(address).settings);
    while (!training.done) await training.train(1000);
    const bytes = flow.encodeSafetensors(await training.weights(), training.notes());
    await Deno.writeFile(place.file(`${name}.safetensors`), bytes);
  }
  const draw = (flags: string) =>
    place.run("sample", `--checkpoint velocity.safetensors --device cpu ${flags}`);
  const { stderr } = await draw("--count 200 --seed 1 --solver euler:steps=32 --out dots.npy");
  assert.match(stderr, /^200 points, euler, 32 steps, 32 evaluations each, on .*: dots\.npy\n$/);
  const file = await place.read("dots.npy");
  assert.match(new TextDecoder("latin1").decode(file), /'shape': \(200, 2\)/);
  const points = new Float32Array(file.slice(-1600).buffer);
  const data = planePoints({ data: "moons", drawn: "" });
  const away = Array.from(
    { length: 200 },
    (_, n) =>
      Math.min(
        ...Array.from({ length: 1024 }, (_, i) =>
          Math.hypot(points[2 * n] - data[2 * i], points[2 * n + 1] - data[2 * i + 1])),
      ),
  );
  assert.ok(away.reduce((sum, each) => sum + each) / 200 < 0.2, `${away}`); // 0.5 for noise
  assert.equal((await draw("--out dots.png --count 9")).code, 0);
  const { width, height } = PNG.sync.read(Buffer.from(await place.read("dots.png")));
  assert.deepEqual([width, height], [500, 500]);
  const whole = await place.succeed(
    "sample",
    "--checkpoint steps.safetensors --device cpu --count 5 --out d.npy",
  );
  assert.match(whole.stderr, /^5 points, map, 1 step, 1 evaluation each/);
  for (
    const [flags, line] of [
      [
        "--class 3",
        /^ConfigError: Cannot use --class with velocity\.safetensors: its network draws points in/,
      ],
      [
        "--solver map",
        /^ConfigError: Cannot use --solver map with .*: its network is not a flow map /,
      ],
    ] as const
  ) {
    const { code, stderr } = await draw(flags);
    assert.equal(code, 1);
    assert.match(stderr, line);
  }
});

testNeeding(
  { read: true, write: true, net: true },
  "the playground is one file below 3 MB, or a module",
  () =>
    withFolder(async (folder) => {
      await writePlayground(join(folder, "page.html"));
      const html = await Deno.readTextFile(join(folder, "page.html"));
      assert.ok(html.length < 3e6);
      const markup = html.replace(/<(script|style)[\s\S]*?<\/\1>/g, "");
      const loads = markup.replaceAll(/<a [^>]*>/g, "");
      assert.doesNotMatch(loads, /\b(src|href)="(?!data:,)/);
      await writePlayground(join(folder, "lesson.js"));
      const lesson = await Deno.readTextFile(join(folder, "lesson.js"));
      assert.match(lesson, /customElements\.define\("flow-lesson"/);
    }),
);
