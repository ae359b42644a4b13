/** A run's folder: how its files are named, written, read, locked and kept apart from others. */

import assert from "node:assert/strict";
import { join } from "node:path";
import * as files from "../../../experiments/run/files.ts";
import * as metricsLog from "../../../experiments/run/metrics_log.ts";
import { collectEnvironment, readCheckout } from "../../../experiments/run/program_files.ts";
import * as folders from "../../../experiments/run/run_folder.ts";
import { testInFolder, withFolder } from "../../folder.ts";
import { granted, testNeeding } from "../../permissions.ts";
import { replacing } from "../../replacing.ts";
import { upTo } from "../../refusing.ts";
import { readStages } from "../../../experiments/settings/stages.ts";
import { configOf } from "../config_of.ts";

const { fileAt, filesOfTraining, isRunFile, rows, runFile } = files;
const { appendMetrics, readMetrics, truncateAfterStep } = metricsLog;
const { findContained, isLocked, lockName, lockRun, readIfThere, readJson, tryLock, writeAtomic } = folders;
type Lock = folders.Lock;

const runError = (message: string | RegExp) => ({ name: "RunError", message });
const namesIn = async (folder: string) =>
  (await Array.fromAsync(Deno.readDir(folder), ({ name }) => name)).sort();

Deno.test("each file of a run has one row, which says where it is shown and when it is mirrored", () => {
  const cases: [path: string, row: string][] = [
    [fileAt(runFile.weightsAt, 500), "weights/step_000500.safetensors"],
    [fileAt(runFile.sampleGrid, 1234567), "samples/step_1234567.png"],
    [fileAt(runFile.pairs, 0), "pairs/part_0000.safetensors"],
    [fileAt(runFile.flow, 12), "flow/sample_12.safetensors"],
    [fileAt(runFile.flowAnimation, "inv_quadratic"), "flow_inv_quadratic.gif"],
  ];
  for (const [path, expected] of cases) {
    assert.equal(path, expected);
    assert.equal(rows.filter((row) => isRunFile(row.path, path)).length, 1, path);
  }
  const flow = "flow/sample_1.safetensors";
  for (const other of ["flow/sample_0.safetensors", `${flow}.tmp`, `x/${flow}`]) {
    assert.ok(!isRunFile(runFile.flow, other), other);
    assert.equal(files.aboutFile(other), "");
  }
  assert.deepEqual([flow, "last.safetensors"].map(files.shownIn), ["report.html#flow", ""]);
  const mirrored = {
    "as it changes": ["run.json", "notes.txt"],
    "at the end": ["metrics.jsonl", "last.safetensors"],
    "never": ["pairs/part_0001.safetensors", "cells/a/run.json", "mlflow.json"],
  };
  for (const [when, paths] of Object.entries(mirrored)) {
    for (const path of paths) assert.equal(files.whenMirrored(path), when, path);
  }
  const bare = { conditional: false, guidance: 1, samples: 0, pathSamples: 0, pacing: "quadratic" } as const;
  const config = configOf({ model: "base", ema: 0.9, ...bare });
  const plain = filesOfTraining({ config });
  const distillation = { teacher: "t", stages: readStages("pairs"), teacherGuidance: 1, maxGuidance: 1 };
  const full = { ...config, guidance: 2, samples: 4, distillation };
  const more = filesOfTraining({ config: full, hasValidation: true, onGpu: true });
  assert.ok(plain.includes("flow_quadratic.gif") && plain.includes("ema.safetensors"));
  assert.deepEqual(more.filter((path) => !plain.includes(path)).sort(), [
    ...["best.safetensors", "early.safetensors", "few_steps.png", "kernels.json"],
    ...["pairs/part_<part>.safetensors", "samples.png", "samples/step_<step>.png", "teacher.safetensors"],
  ]);
  assert.equal(plain.length, more.length - 8);
});

testInFolder("createRunFolder() names folders by time and name, or takes an empty one", async (folder) => {
  const [root, out] = [join(folder, "runs"), join(folder, "new", "run")];
  const named = { name: "base", root, startedAt: new Date(2024, 0, 2, 3, 4, 5) };
  const create = (out?: string) => folders.createRunFolder({ ...named, ...out !== undefined && { out } });
  for (const name of ["20240102-030405-base", "20240102-030405-base-2"]) {
    assert.equal(await create(), join(root, name));
  }
  assert.equal(await create(out), out);
  using _ = await lockRun(out);
  assert.equal(await create(out), out, "locked by the caller");
  const file = join(out, "notes.txt");
  await Deno.writeTextFile(file, "mine");
  const holds = runError(/as run folder: it holds notes\.txt \(expected .* --resume \S+run\)$/);
  await assert.rejects(create(out), holds);
  await assert.rejects(create(file), folders.RunError);
  await assert.rejects(folders.checkFolderOf(out), runError(/: it is a folder /));
  assert.deepEqual([await namesIn(out), await Deno.readTextFile(file)], [[lockName, "notes.txt"], "mine"]);
});

testInFolder(
  "writeAtomic() flushes a content and replaces the old one, or changes nothing",
  async (folder) => {
    const [path, events]: [string, string[]] = [join(folder, "file"), []];
    const { FsFile: { prototype: file }, rename } = Deno;
    {
      using _ = replacing(
        [file, { sync: () => Promise.resolve(events.push("sync")) }],
        [Deno, { rename: (...paths: [string, string]) => (events.push("rename"), rename(...paths)) }],
      );
      for (const content of ["old and longer", "ñew", Uint8Array.of(0, 255, 10), ""]) {
        await writeAtomic(path, content);
        const expected = typeof content === "string" ? new TextEncoder().encode(content) : content;
        assert.deepEqual(await Deno.readFile(path), expected);
        assert.deepEqual(events.splice(0), ["sync", "rename"]);
      }
    }
    const taken = join(folder, "taken");
    await Deno.mkdir(join(taken, "inner"), { recursive: true });
    await assert.rejects(writeAtomic(taken, "text"), runError(/taken: [^\n]+; the file is unchanged$/));
    await assert.rejects(writeAtomic(join(folder, "missing", "file"), "text"), folders.RunError);
    const full = () => Promise.reject(Object.assign(new Error(), { code: "ENOSPC" }));
    using _ = replacing([Deno, { rename: full }]);
    for (const [name, unchanged] of [["file", "; the file is unchanged"], ["new", ""]]) {
      const message = `Cannot write ${join(folder, name)}: no space is left on the disk${unchanged}`;
      await assert.rejects(writeAtomic(join(folder, name), "text"), runError(message));
    }
    assert.deepEqual([await Deno.readTextFile(path), await namesIn(folder)], ["", ["file", "taken"]]);
  },
);

testInFolder("writeAtomic() shows readers one whole content, even with several writers", async (folder) => {
  const path = join(folder, "file");
  const size = 1 << 20;
  const write = (value: number) => writeAtomic(path, new Uint8Array(size).fill(value));
  await write(0);
  let writing = true;
  const writers = (async () => {
    for (let value = 1; value <= 9; value += 3) await Promise.all(upTo(3).map((i) => write(value + i)));
  })().finally(() => writing = false);
  while (writing) {
    const bytes = await Deno.readFile(path);
    assert.deepEqual([bytes.length, bytes[0]], [size, bytes[size - 1]]);
  }
  await writers;
  assert.deepEqual(await namesIn(folder), ["file"]);
});

testInFolder("metrics are read as they were written, after any incomplete line", async (folder) => {
  const path = join(folder, "metrics.jsonl");
  assert.deepEqual(await readMetrics(path), []);
  const metrics: metricsLog.Metrics[] = [
    { step: 1, trainLoss: 0.1, phase: "train" },
    { step: 2, trainLoss: NaN, learningRate: Infinity, other: -Infinity },
  ];
  for (const line of metrics) appendMetrics(path, line);
  const [, second] = (await Deno.readTextFile(path)).split("\n");
  assert.equal(second, '{"step":2,"trainLoss":"NaN","learningRate":"Infinity","other":"-Infinity"}');
  assert.deepEqual(await readMetrics(path), metrics);
  await Deno.writeTextFile(path, '{"step":1}\n{"loss":2}\n{"step":3}\n');
  const message = `Cannot read ${path}: line 2 is not an object with a step: {"loss":2}`;
  await assert.rejects(readMetrics(path), runError(message));

  const steps = async () => (await readMetrics(path)).map(({ step }) => step);
  await Deno.writeTextFile(path, '{"step":10}\n{"step":20}\n{"step":30}\n{"step":1');
  assert.deepEqual(await steps(), [10, 20, 30]);
  await truncateAfterStep(path, 30);
  appendMetrics(path, { step: 40 });
  assert.deepEqual(await steps(), [10, 20, 30, 40]);
  await truncateAfterStep(path, 25);
  assert.equal(await Deno.readTextFile(path), '{"step":10}\n{"step":20}\n');
  const rests = [['{"step":7,"train_lo', []], ['{"step":7}', [7]], ['{"note":"ü', []]] as const;
  for (const [rest, kept] of rests) {
    for (const [whole, first] of [['{"step":6}\n', [6]], ["", []]] as const) {
      await Deno.writeTextFile(path, whole + rest);
      for (const step of [8, 9]) appendMetrics(path, { step });
      assert.deepEqual(await steps(), [...first, ...kept, 8, 9], rest);
    }
  }
});

testInFolder("the environment of a run has the commit and branch that git's files name", async (root) => {
  const startedAt = new Date();
  const environment = collectEnvironment({ name: "software" }, startedAt);
  assert.deepEqual(JSON.parse(JSON.stringify(environment)), environment);
  assert.deepEqual([environment.startedAt, environment.adapter], [startedAt.toISOString(), {
    name: "software",
  }]);
  assert.equal(/^[0-9a-f]{64}$/.test(environment.codeDigest ?? ""), granted("read"));

  const [loose, packed] = ["1".repeat(40), "2".repeat(40)];
  const write = async (path: string, text: string) => {
    await Deno.mkdir(join(root, path, ".."), { recursive: true });
    await Deno.writeTextFile(join(root, path), text + "\n");
  };
  assert.equal(readCheckout(join(root, "main")), undefined);
  await write("main/.git/refs/heads/main", loose);
  await write("main/.git/packed-refs", `# pack-refs\n${packed} refs/heads/main\n${packed} refs/heads/a/b`);
  await write("tree/.git", `gitdir: ${join(root, "main/.git/worktrees/tree")}`);
  await write("main/.git/worktrees/tree/commondir", "../..");
  const heads: [head: string, commit: string | undefined, branch: string | undefined][] = [
    ["ref: refs/heads/main", loose, "main"],
    ["ref: refs/heads/a/b", packed, "a/b"],
    ["ref: refs/heads/new", undefined, "new"],
    [packed, packed, undefined],
  ];
  for (const [folder, file] of [["main", "main/.git/HEAD"], ["tree", "main/.git/worktrees/tree/HEAD"]]) {
    for (const [head, commit, branch] of heads) {
      await write(file, head);
      assert.deepEqual(readCheckout(join(root, folder)), { commit, branch }, `${folder}: ${head}`);
    }
  }
});

testInFolder("removeLeftovers() removes temporary files of killed sessions", async (run) => {
  const end = `${"0f".repeat(16)}.tmp`;
  const leftovers = [`.step_000500.safetensors.${end}`, `.run.json.${end}`, `.metrics.jsonl.${end}`];
  const kept = [".last.safetensors.0.tmp", `.report.html.${end}`, "a.tmp", "last.safetensors"];
  for (const folder of [run, join(run, "weights"), join(run, "flow")]) {
    await Deno.mkdir(folder, { recursive: true });
    for (const name of [...leftovers, ...kept]) await Deno.writeTextFile(join(folder, name), "");
  }
  using lock = await lockRun(run);
  await folders.removeLeftovers(lock);
  for (const name of ["weights", "flow"]) assert.deepEqual(await namesIn(join(run, name)), kept, name);
  assert.deepEqual(await namesIn(run), [lockName, "flow", "weights", ...kept].sort());
});

testInFolder("findContained() follows only links that stay inside the folder", async (folder) => {
  const [run, elsewhere] = [join(folder, "run"), join(folder, "elsewhere")];
  await Deno.mkdir(join(run, "flow"), { recursive: true });
  await Deno.writeTextFile(join(folder, "outside.json"), "{}");
  await Deno.writeTextFile(join(run, "config.json"), '{"own":1}');
  const links = {
    "link.json": "config.json",
    "out.json": "../outside.json",
    up: "..",
    "broken.json": "nowhere",
  };
  for (const [name, target] of Object.entries(links)) await Deno.symlink(target, join(run, name));
  await Deno.symlink(run, elsewhere); // the folder itself may be a link
  for (const [where, name] of [[run, "config.json"], [run, "link.json"], [elsewhere, "link.json"]]) {
    assert.equal(findContained(join(where, name), where)?.size, 9, name);
    assert.deepEqual(await readJson(join(where, name)), { own: 1 }, name);
  }
  for (const name of ["broken.json", "config.json/below", "none.json"]) {
    assert.equal(await readIfThere(join(run, name), run), undefined, name);
  }
  const leads = `it leads out of the folder ${run} (expected a file in it)`;
  const refusals = {
    "out.json": leads,
    "up/outside.json": leads,
    "../outside.json": leads,
    flow: "it is a folder",
  };
  for (const [name, why] of Object.entries(refusals)) {
    const refused = runError(`Cannot read ${run}/${name}: ${why}`);
    assert.throws(() => findContained(`${run}/${name}`, run), refused);
    await assert.rejects(folders.readFile(`${run}/${name}`, run), refused);
  }
});

/** Starts a program that locks the folder, and waits until it holds it. */
async function startHolder(folder: string): Promise<Deno.ChildProcess> {
  const module = new URL("../../../experiments/run/run_folder.ts", import.meta.url);
  const program = `import { tryLock } from ${JSON.stringify(module.href)};
    const lock = await tryLock(${JSON.stringify(folder)}, ".lock");
    console.log("holder" in lock ? "busy" : "held");
    setInterval(() => {}, 1000);`;
  const process = new Deno.Command(Deno.execPath(), { args: ["eval", program], stdout: "piped" }).spawn();
  const reader = process.stdout.getReader();
  const { value } = await reader.read();
  assert.equal(new TextDecoder().decode(value).trim(), "held");
  await reader.cancel();
  return process;
}

const programs = { read: true, write: true, run: true } as const;
testNeeding(
  programs,
  "tryLock() gives a lock to one program at a time, and takes over from a killed one",
  () =>
    withFolder(async (folder) => {
      const process = await startHolder(folder);
      const answer = await tryLock(folder, lockName);
      assert.equal("holder" in answer && answer.holder?.pid, process.pid);
      assert.equal(await isLocked(folder), true);
      (await tryLock(folder, "another name") as Lock)[Symbol.dispose]();
      process.kill("SIGKILL");
      await process.status;
      assert.equal(await isLocked(folder), false);
      const tries = await Promise.all(upTo(20).map(() => tryLock(folder, lockName)));
      const [taken, ...others] = tries.filter((answer) => "isHeld" in answer);
      assert.ok(taken?.isHeld() && others.length === 0, "one of many takes it over");
      assert.ok("holder" in await tryLock(folder, lockName), "it is held, even within one program");
      taken[Symbol.dispose]();
      taken[Symbol.dispose]();
      assert.deepEqual(await namesIn(folder), []);
      // A former holder removes the file just before it is locked.
      const { tryLock: original } = Deno.FsFile.prototype;
      using _ = replacing([Deno.FsFile.prototype, {
        tryLock(this: Deno.FsFile, exclusive: boolean) {
          Deno.FsFile.prototype.tryLock = original;
          Deno.removeSync(join(folder, lockName));
          return original.call(this, exclusive);
        },
      }]);
      using lock = await tryLock(folder, lockName) as Lock;
      assert.ok(lock.isHeld() && await isLocked(folder));
    }),
);

testInFolder("lockRun() leaves a run to another machine, and says which file to remove", async (run) => {
  const path = join(run, lockName);
  await Deno.writeTextFile(path, "elsewhere 7 2026-01-01T00:00:00Z 0");
  assert.equal(await isLocked(run), true);
  const who = "process 7 on elsewhere since 2026-01-01T00:00:00Z is training or sending this run";
  await assert.rejects(
    lockRun(run),
    runError(`Cannot write ${run}: ${who}; if it has ended, remove ${path}`),
  );
  await Deno.writeTextFile(path, ""); // a program was killed while taking it
  assert.equal(await isLocked(run), false);
  using _ = await lockRun(run);
  assert.equal(await isLocked(run), true);
  await assert.rejects(lockRun(run), runError(/: another program is training or sending this run; wait /));
});

testInFolder(
  "lockRun() guards a folder: nothing is written after it was deleted or made anew",
  async (folder) => {
    const [run, other] = [join(folder, "run"), join(folder, "run-2")];
    for (const path of [run, other]) await Deno.mkdir(path);
    using old = await lockRun(run);
    const lost = runError(new RegExp(`^Cannot write to ${run}: it was deleted or replaced `));
    const assertLost = async () => {
      await assert.rejects(writeAtomic(join(run, "flow", "last.safetensors"), "new"), lost);
      assert.throws(() => appendMetrics(join(run, "metrics.jsonl"), { step: 1 }), lost);
      await assert.rejects(folders.makeFolder(run, "samples"), lost);
    };
    await writeAtomic(join(run, "config.json"), "{}");
    await Deno.remove(run, { recursive: true });
    await assertLost();
    assert.deepEqual(await namesIn(folder), ["run-2"]);
    await writeAtomic(join(other, "config.json"), "{}");
    await Deno.mkdir(run);
    await assertLost();
    using _ = await lockRun(run); // as another program does
    await assertLost();
    old[Symbol.dispose]();
    assert.deepEqual(await namesIn(run), [lockName], "the lock of the new holder stays");
    assert.equal(await isLocked(run), true);
    await writeAtomic(join(run, "config.json"), "{}");
  },
);
