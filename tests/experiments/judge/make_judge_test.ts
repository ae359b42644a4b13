import assert from "node:assert/strict";
import { accuracyOf, makeJudge } from "../../../experiments/judge/train_judge.ts";
import { digestOf, type Labelled } from "../../../experiments/judge/data_judge.ts";
import { withDevice } from "../../../kernels/mod.ts";
import { loadJudge } from "../../../models/mod.ts";
import { assertClose, testOnDevices } from "../../testing.ts";
import { bars } from "./bars.ts";

const how = { steps: 60, seed: 5 };

testOnDevices("makeJudge() learns an easy data set, and says what it has made of what", async (device) => {
  const data = await bars();
  const seen: number[] = [];
  const { bytes, info } = (await makeJudge(data, { ...how, onProgress: (step) => seen.push(step) }))!;
  assert.ok(info.accuracy > 0.95, `accuracy ${info.accuracy}`);
  assert.deepEqual(seen, [20, 40, 60]);
  assert.deepEqual(info, {
    ...{ classes: 2, channels: 1, height: 8, width: 8, normalization: { scale: 2, shift: -1 } },
    ...{ dataDigest: await digestOf(data), accuracy: info.accuracy, ...how },
    command: `deno task judge --data bars --steps 60 --seed 5 --device ${device.kind}`,
  });
  const judge = withDevice(device, () => loadJudge(bytes, "a file"));
  assert.deepEqual(judge.info, info);
  assertClose([await accuracyOf(judge, data.test)], [info.accuracy], 1e-9);
  assert.ok(
    await accuracyOf(judge, { ...data.test, labels: data.test.labels.map((label) => 1 - label) }) < 0.05,
  );
});

testOnDevices("makeJudge() makes the same file from the same seed, to the bit", async () => {
  const data = await bars();
  const make = async (seed: number) => (await makeJudge(data, { steps: 5, seed }))!.bytes;
  assert.deepEqual(await make(1), await make(1));
  assert.notDeepEqual(await make(1), await make(2));
});

testOnDevices("makeJudge() never learns from test images", async () => {
  const data = await bars();
  const { images, labels, count } = data.test;
  const other = {
    images: images.map((pixel) => 255 - pixel),
    labels: labels.map((label) => 1 - label),
    count,
  };
  const weights = async (test: Labelled) => {
    const { bytes } = (await makeJudge({ ...data, test }, { steps: 5, seed: 1 }))!;
    return bytes.subarray(8 + Number(new DataView(bytes.buffer).getBigUint64(0, true)));
  };
  assert.deepEqual(await weights(other), await weights(data.test));
});

testOnDevices("makeJudge() stops when asked to", async () => {
  const stop = new AbortController();
  const steps: number[] = [];
  const made = await makeJudge(await bars(), {
    ...{ steps: 1000, seed: 1, signal: stop.signal },
    onProgress(step) {
      steps.push(step);
      if (step >= 40) stop.abort();
    },
  });
  assert.equal(made, undefined);
  assert.deepEqual(steps, [20, 40]);
});
