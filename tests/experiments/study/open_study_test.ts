import assert from "node:assert/strict";
import { join } from "node:path";
import { lockPlan } from "../../../experiments/study/cell_lock.ts";
import { planStudy, saveStudy } from "../../../experiments/study/open_study.ts";
import type { Plan } from "../../../experiments/study/plan.ts";
import { requireStudy } from "../../../experiments/study/study_file.ts";
import { init } from "../../../kernels/mod.ts";
import { testInFolder } from "../../folder.ts";
import { makeStudy, planning } from "./tiny_study.ts";

/** A study of one cell, and what plans it again with other seeds. */
async function planned(root: string) {
  const study = await makeStudy(join(root, "study"), { grid: { model: ["base"] }, seeds: [1] });
  const plan = async (seeds: Plan["seeds"], folder = study.folder) => {
    const device = await init({ device: "cpu", threads: 1 });
    return await planStudy(folder, { ...study.plan, seeds }, planning).finally(() => device.close());
  };
  return { study, plan };
}

testInFolder("planStudy() begins no study among other files", async (root) => {
  const { plan } = await planned(root);
  const folder = join(root, "run");
  await Deno.mkdir(join(folder, ".locks"), { recursive: true });
  await Deno.writeTextFile(join(folder, `.study.json.${"0".repeat(32)}.tmp`), ""); // of a program that was killed
  assert.equal((await plan([1], folder)).known, undefined);
  await Deno.writeTextFile(join(folder, "report.html"), "of a run");
  await assert.rejects(plan([1], folder), {
    name: "RunError",
    message:
      `Cannot begin a study in ${folder}: it holds report.html, and no study.json (expected a new or empty folder); ` +
      "give another one with --out DIR",
  });
  await assert.rejects(plan([1], join(folder, "report.html")), {
    name: "RunError",
    message: /^Cannot use the folder .*report\.html: not a directory/,
  });
});

testInFolder("saveStudy() loses no cells that another program has added meanwhile", async (root) => {
  const { study, plan } = await planned(root);
  const [own, others] = [await plan([1, 2]), await plan([1, 3])];
  assert.ok(await saveStudy(others, planning));
  assert.equal(await saveStudy(own, planning), false);
  assert.deepEqual(await requireStudy(study.folder), others.study);
  assert.ok(await saveStudy(await plan([1, 2]), planning));
  const { cells } = await requireStudy(study.folder);
  assert.deepEqual(cells.map(({ id }) => id), ["base-s1", "base-s3", "base-s2"]);
});

testInFolder("saveStudy() lets one of two programs that begin a study be first", async (root) => {
  const { plan } = await planned(root);
  const folder = join(root, "new");
  const both = [await plan([1], folder), await plan([2], folder)];
  const saved = await Promise.all(both.map((planned) => saveStudy(planned, planning)));
  assert.deepEqual(saved.toSorted(), [false, true]);
  assert.deepEqual(await requireStudy(folder), both[saved.indexOf(true)].study);
});

testInFolder(
  "saveStudy() says once who holds the plan, and waits no more once it is stopped",
  async (root) => {
    const { study, plan } = await planned(root);
    const more = await plan([1, 2]);
    using _ = (await lockPlan(study, planning))!;
    const stop = new AbortController();
    const said: string[] = [];
    const heard = Promise.withResolvers<void>();
    const say = (line: string) => {
      said.push(line);
      heard.resolve();
    };
    const saved = saveStudy(more, { say, signal: stop.signal });
    saved.catch(() => {}); // it is awaited below
    await heard.promise;
    stop.abort();
    assert.equal(await saved, false);
    assert.equal(said.length, 1);
    assert.match(
      said[0],
      new RegExp(`^Waiting until the plan of .*study is free: process ${Deno.pid}( on .+)? since .+ has it$`),
    );
    assert.deepEqual(await requireStudy(study.folder), study);
  },
);
