import assert from "node:assert/strict";
import { inTurn } from "../../../experiments/run/run_lock.ts";
import { testInFolder } from "../../folder.ts";

const pause = () => new Promise((resolve) => setTimeout(resolve, 5));

testInFolder("inTurn() does one work at a time, and goes on after one that fails", async (folder) => {
  let [at, most] = [0, 0];
  const work = (n: number) =>
    inTurn(folder, async () => {
      most = Math.max(most, ++at);
      await pause();
      at--;
      if (n === 1) throw new Error("fails");
      return n;
    });
  const ended = await Promise.allSettled([0, 1, 2, 3].map(work));
  assert.deepEqual(ended.map(({ status }) => status), ["fulfilled", "rejected", "fulfilled", "fulfilled"]);
  assert.equal(most, 1);
  assert.deepEqual(await Array.fromAsync(Deno.readDir(folder)), [], "it leaves nothing behind");
});

testInFolder("inTurn() lets work for other folders go on", async (folder) => {
  const other = await Deno.makeTempDir({ dir: folder });
  assert.equal(await inTurn(folder, () => inTurn(other, () => Promise.resolve(7))), 7);
});
