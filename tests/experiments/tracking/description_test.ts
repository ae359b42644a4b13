import assert from "node:assert/strict";
import { newCursor } from "../../../experiments/tracking/cursor.ts";
import { describe } from "../../../experiments/tracking/description.ts";
import type { RecordedDataset, RunRecord } from "../../../experiments/tracking/record.ts";
import { testNeeding } from "../../permissions.ts";

const old = { name: "d", digest: "ab", source: "d", height: 4, width: 5, train: 3, validation: 2, test: 1 };

/** Shape and profile of a data set, as MLflow gets them. */
async function inputOf(dataset: RecordedDataset): Promise<unknown[]> {
  const record: RunRecord = {
    id: "1",
    name: "run",
    experiment: "e",
    status: "RUNNING",
    startedAt: 0,
    endedAt: null,
    reason: null,
    user: null,
    source: "a test",
    gitBranch: null,
    parameterCount: null,
    dataset,
    standsFor: null,
  };
  const { inputs } = await describe("no such folder", record, newCursor("http://127.0.0.1"));
  const { schema, profile } = inputs[0].dataset;
  const { features, targets } = JSON.parse(schema ?? "").mlflow_tensorspec;
  assert.equal(targets === undefined, dataset.classes === 0, "only data with classes has targets");
  const [{ "tensor-spec": { shape } }] = JSON.parse(features);
  return [shape, JSON.parse(profile ?? "")];
}

testNeeding(
  { read: true },
  "describe() gives channels and classes of a data set, if its record has them",
  async () => {
    const counts = { train: 3, validation: 2, test: 1, sha256: "ab" };
    assert.deepEqual(await inputOf(old), [[-1, 4, 5], counts]);
    assert.deepEqual(await inputOf({ ...old, channels: 1, classes: 10 }), [[-1, 4, 5], {
      ...counts,
      channels: 1,
      classes: 10,
    }]);
    assert.deepEqual(await inputOf({ ...old, channels: 1, classes: 0 }), [[-1, 4, 5], {
      ...counts,
      channels: 1,
    }]);
    assert.deepEqual(await inputOf({ ...old, channels: 3, classes: 26 }), [[-1, 3, 4, 5], {
      ...counts,
      channels: 3,
      classes: 26,
    }]);
    assert.deepEqual(await inputOf({ ...old, channels: 1, classes: 2, classNames: ["cat", "owl"] }), [[
      -1,
      4,
      5,
    ], {
      ...counts,
      channels: 1,
      classes: 2,
      classNames: ["cat", "owl"],
    }]);
  },
);
