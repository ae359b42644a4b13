/** Samples that are asked to be of classes, and what is kept of that. */

import assert from "node:assert/strict";
import { join } from "node:path";
import {
  classColumns,
  conditionedField,
  guidanceInWords,
  roundToRows,
} from "../../../experiments/draw/conditioning.ts";
import {
  followTrajectories,
  readTrajectories,
  writeTrajectories,
} from "../../../experiments/draw/trajectories.ts";
import { trajectoryRows } from "../../../experiments/draw/trajectory_picture.ts";
import {
  followInPlane,
  readPlaneTrajectories,
  writePlaneTrajectories,
} from "../../../experiments/draw/plane_trajectories.ts";
import { drawSamples, drawSamplesInBatches } from "../../../experiments/draw/samples.ts";
import { readReportRuns } from "../../../experiments/report/read_runs.ts";
import { init, tensor, withDevice } from "../../../kernels/mod.ts";
import {
  createModel,
  decodeSafetensors,
  encodeSafetensors,
  guided,
  sample,
  toPixels,
} from "../../../models/mod.ts";
import { testInFolder } from "../../folder.ts";
import { assertClose } from "../../testing.ts";
import { madeUpFlow } from "../../viz/flow/made_up_flow.ts";

const source = { modelType: "UNet_FM", seed: 7, solver: "euler", steps: 4 } as const;
const device = await init({ device: "cpu" });
const classes = 12;
const shape = [3, 4, 4] as const;
const normalization = { scale: 2, shift: -1 };
const drawable = () => ({
  model: createModel({ type: "UNet_FM", filters: [2, 4], tEmb: 4, channels: 3, classes }, 3),
  normalization,
  shape,
});
const { count, conditioning } = classColumns(13, classes, { scale: 2 });

Deno.test("classColumns() fills rows of one of each class, at least one", () => {
  assert.deepEqual([64, 66, 16, 1, 0].map((count) => roundToRows(count, 10)), [60, 70, 20, 10, 0]);
  assert.deepEqual([64, 0].map((count) => roundToRows(count, 0)), [64, 0]);
  assert.deepEqual(classColumns(64, 0, { scale: 2 }), { count: 64, columns: 0 });
  const { labels, guidance } = classColumns(7, 3, { scale: 2 }).conditioning!;
  assert.deepEqual([...labels], [0, 1, 2, 0, 1, 2]);
  assert.deepEqual(guidance, { scale: 2 });
  assert.equal(classColumns(7, 3, guidance).columns, 3);
});

Deno.test("guidanceInWords() says where and how", () => {
  assert.equal(guidanceInWords({ scale: 1 }), "no guidance");
  assert.equal(guidanceInWords({ scale: 1.5 }), "guidance 1.5");
  assert.equal(
    guidanceInWords({ scale: 2, interval: [0.1, 1], zeroStar: true }),
    "guidance 2 for t in [0.1, 1] by CFG-Zero*",
  );
});

Deno.test("drawSamples() draws the classes asked for, in one batch or several, of three channels", async () => {
  await withDevice(device, async () => {
    const { model } = drawable();
    const drawing = { seed: 5, steps: 3, solver: "heun" } as const;
    const many = classColumns(72, classes, { scale: 2 });
    const pixels = await drawSamples(drawable(), { ...drawing, ...many });
    const how = { solver: "heun", steps: 3 } as const;
    const inBatches = await drawSamplesInBatches(drawable(), { seed: 5, ...many }, how, () => {});
    assert.deepEqual(inBatches.pixels, pixels);
    const condition = tensor(many.conditioning!.labels);
    const x1 = sample(guided(model, { scale: 2, none: classes }), {
      ...drawing,
      count: many.count,
      shape,
      condition,
    });
    assertClose(pixels, toPixels(await x1.read(), normalization), 1e-6);
    assert.deepEqual(conditionedField(model, undefined), { field: model });
  });
});

testInFolder("flows keep the class and the guidance that they were asked for", async (run) => {
  const trajectories = await withDevice(
    device,
    () => followTrajectories(drawable(), { seed: 7, solver: "euler", steps: 4, count, conditioning }),
  );
  assert.equal(trajectories.length, 12);
  await writeTrajectories(run, trajectories, source, conditioning);
  const flows = await readTrajectories(run);
  assert.deepEqual(
    flows.map(({ label, guidance }) => [label, guidance]),
    Array.from({ length: 12 }, (_, c) => [c, 2]),
  );

  await Deno.writeTextFile(join(run, "config.json"), JSON.stringify({ conditional: true, guidance: 2 }));
  const [{ solved }] = await readReportRuns([run]);
  const labels = Array.from({ length: 12 }, (_, c) => c);
  assert.deepEqual(solved, { seed: 7, solver: "euler", steps: 4, evaluations: 4, labels, guidance: 2 });

  const path = join(run, "flow", "sample_3.safetensors");
  const { tensors, metadata } = decodeSafetensors(await Deno.readFile(path), "flow");
  await Deno.writeFile(path, encodeSafetensors(tensors, { ...metadata, label: "-1" }));
  await assert.rejects(readTrajectories(run), {
    name: "RunError",
    message: /: its label is -1 at guidance 2 \(expected a class and a number\); delete it/,
  });
});

Deno.test("trajectoryRows() titles columns by class where all runs were asked for the same", () => {
  const flow = (name: string, labelled: boolean, guidance = 1.5) => ({
    name,
    key: name,
    samples: [0, 1, 2, 3].map((n) => ({
      ...source,
      k: n + 1,
      trajectory: madeUpFlow(n, 5, [4, 4]),
      ...labelled && { label: n % 2, guidance },
    })),
  });
  const words = (...flows: ReturnType<typeof flow>[]) => {
    const { rows: _, ...words } = trajectoryRows(flows, []);
    return words;
  };
  const plain = { columnTitles: ["Sample 1", "Sample 2", "Sample 3", "Sample 4"] };
  const byClass = { columnTitles: ["0", "1", "0", "1"], columns: 2 };
  assert.deepEqual(words(flow("a", false)), plain);
  assert.deepEqual(words(flow("a", true, 1)), byClass);
  assert.deepEqual(words(flow("a", true), flow("b", true)), { ...byClass, remark: "guidance 1.5" });
  assert.deepEqual(words(flow("a", true), flow("b", false)), plain);
  assert.deepEqual(words(flow("a", true), flow("b", true, 3)), plain);
});

testInFolder("followInPlane() follows the classes asked for, and their file keeps them", async (run) => {
  const split = (count: number) => ({
    count,
    labels: Uint8Array.from({ length: count }, (_, n) => n % classes),
    images: Uint8Array.from({ length: count * 48 }, (_, i) => i * 37 % 256),
  });
  const data = { train: split(40), test: split(20) };
  const follow = (batch: number) =>
    withDevice(
      device,
      () => followInPlane(drawable(), data, { count, seed: 5, steps: 2, batch, conditioning }),
    );
  const paths = await follow(12);
  assert.deepEqual(paths.conditioning, { labels: conditioning!.labels, guidance: 2 });
  assertClose((await follow(5)).image, paths.image, 1e-6);
  await writePlaneTrajectories(run, paths);
  assert.deepEqual(await readPlaneTrajectories(run), paths);
});
