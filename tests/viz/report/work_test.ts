import assert from "node:assert/strict";
import { WorkQueue } from "../../../viz/report/page/work.ts";

Deno.test("WorkQueue does what is needed even if all is stopped, and drops the rest", async () => {
  const done: string[] = [];
  const queue = new WorkQueue(() => {}, (error) => assert.fail(`${error}`));
  const all = new Promise<void>((resolve) => {
    queue.add(async (wanted) => {
      await Promise.resolve();
      done.push(`first is ${wanted() ? "" : "no longer "}wanted`);
    });
    queue.add(() => Promise.resolve(void done.push("second")));
    queue.add((wanted) => Promise.resolve(void done.push(`third is needed: ${wanted()}`)), { needed: true });
    Promise.resolve().then(() => {
      queue.stop();
      queue.add(() => Promise.resolve(void done.push("fourth")));
      queue.add(() => Promise.resolve(resolve()));
    });
  });
  await all;
  assert.deepEqual(done, ["first is no longer wanted", "third is needed: true", "fourth"]);
});
