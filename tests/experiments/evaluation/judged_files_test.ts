import assert from "node:assert/strict";
import { join } from "node:path";
import { readLiveJudge, writeLiveJudge } from "../../../experiments/evaluation/judged_files.ts";
import { encodeSafetensors, saveJudge } from "../../../models/mod.ts";
import { testInFolder } from "../../folder.ts";
import { info } from "../../models/tiny_files.ts";

const judge = {
  weights: saveJudge(new Map([["a", { shape: [1], data: Float32Array.of(1) }]]), info),
  reference: { values: Float32Array.of(0, 1, 2, 3, 4, 5), rows: 3, width: 2 },
};

testInFolder("readLiveJudge() reads what writeLiveJudge() wrote", async (run) => {
  assert.equal(await readLiveJudge(run), undefined);
  await writeLiveJudge(run, judge);
  assert.deepEqual(await readLiveJudge(run), judge);
  await Deno.writeFile(join(run, "judge.safetensors"), judge.weights.subarray(0, -1));
  await assert.rejects(readLiveJudge(run), /^SafetensorsError: Cannot read .*judge\.safetensors: /);
  await Deno.remove(join(run, "judge.safetensors"));
  assert.equal(await readLiveJudge(run), undefined);
});

testInFolder("readLiveJudge() refuses a file without features in one line", async (run) => {
  await writeLiveJudge(run, judge);
  for (const data of [Float32Array.of(1), Float32Array.of(NaN)]) {
    const shape = Number.isNaN(data[0]) ? [1, 1] : [1];
    const bytes = encodeSafetensors(new Map([["features", { shape, data }]]));
    await Deno.writeFile(join(run, "reference.safetensors"), bytes);
    await assert.rejects(
      readLiveJudge(run),
      /^RunError: Cannot read .*reference\.safetensors: features .*; delete the file, or/,
    );
  }
});
