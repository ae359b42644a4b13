import assert from "node:assert/strict";
import { join } from "node:path";
import { collectEnvironment, readCheckout } from "../../../experiments/run/program_files.ts";
import {
  appendMetrics,
  type Metrics,
  readMetrics,
  truncateAfterStep,
} from "../../../experiments/run/metrics_log.ts";
import {
  checkFolderOf,
  createRunFolder,
  findContained,
  isLocked,
  type Lock,
  lockName,
  lockRun,
  makeFolder,
  readFile,
  readIfThere,
  readJson,
  removeLeftovers,
  RunError,
  tryLock,
  writeAtomic,
} from "../../../experiments/run/run_folder.ts";
import { testInFolder, withFolder } from "../../folder.ts";
import { granted, testNeeding } from "../../permissions.ts";
import { replacing } from "../../replacing.ts";

const startedAt = new Date(2024, 0, 2, 3, 4, 5);

async function namesIn(folder: string): Promise<string[]> {
  return (await Array.fromAsync(Deno.readDir(folder), ({ name }) => name)).sort();
}

testInFolder(
  "createRunFolder() names folders by time and name, or takes a new or empty one",
  async (folder) => {
    const root = join(folder, "runs");
    const named = { name: "base", root, startedAt };
    for (const name of ["20240102-030405-base", "20240102-030405-base-2"]) {
      assert.equal(await createRunFolder(named), join(root, name));
    }
    const out = join(folder, "new", "run");
    const given = { name: "base", out, startedAt };
    assert.equal(await createRunFolder(given), out);
    {
      using _ = await lockRun(out);
      assert.equal(await createRunFolder(given), out, "locked by the caller");
    }
    const file = join(out, "notes.txt");
    await Deno.writeTextFile(file, "mine");
    const words =
      `: it holds notes.txt (expected a new or empty folder; to continue an earlier run, use --resume ${out})`;
    await assert.rejects(createRunFolder(given), {
      name: "RunError",
      message: `Cannot use ${out} as run folder${words}`,
    });
    await assert.rejects(createRunFolder({ ...given, out: file }), RunError);
    assert.deepEqual([await namesIn(out), await Deno.readTextFile(file)], [["notes.txt"], "mine"]);
  },
);

testInFolder("writeAtomic() flushes a new content to disk, and then replaces the old one", async (folder) => {
  const path = join(folder, "file");
  for (const content of ["old and longer", "ñew", Uint8Array.of(0, 255, 10), ""]) {
    await writeAtomic(path, content);
    const expected = typeof content === "string" ? new TextEncoder().encode(content) : content;
    assert.deepEqual(await Deno.readFile(path), expected);
  }
  assert.deepEqual(await namesIn(folder), ["file"]);
  const events: string[] = [];
  const { FsFile: { prototype: file }, rename } = Deno;
  using _ = replacing(
    [file, { sync: () => Promise.resolve(events.push("sync")) }],
    [Deno, { rename: (...paths: [string, string]) => (events.push("rename"), rename(...paths)) }],
  );
  await writeAtomic(path, "content");
  assert.deepEqual(events, ["sync", "rename"]);
});

testInFolder("writeAtomic() shows readers one whole content, even with several writers", async (folder) => {
  const path = join(folder, "file");
  const size = 1 << 20;
  const write = (value: number) => writeAtomic(path, new Uint8Array(size).fill(value));
  await write(0);
  let writing = true;
  const writers = (async () => {
    for (let value = 1; value <= 9; value += 3) await Promise.all([0, 1, 2].map((i) => write(value + i)));
    writing = false;
  })();
  while (writing) {
    const bytes = await Deno.readFile(path);
    assert.deepEqual([bytes.length, bytes[0]], [size, bytes[size - 1]]);
  }
  await writers;
  assert.deepEqual(await namesIn(folder), ["file"]);
});

testInFolder(
  "writeAtomic() leaves no trace if it cannot write, and says what is unchanged",
  async (folder) => {
    await Deno.mkdir(join(folder, "taken", "inner"), { recursive: true });
    const taken = { name: "RunError", message: /^Cannot write \S+taken: [^\n]+; the file is unchanged$/ };
    await assert.rejects(writeAtomic(join(folder, "taken"), "text"), taken);
    const full = () => Promise.reject(Object.assign(new Error(), { code: "ENOSPC" }));
    using _ = replacing([Deno, { rename: full }]);
    await Deno.writeTextFile(join(folder, "old"), "old");
    for (const [name, unchanged] of [["old", "; the file is unchanged"], ["new", ""]]) {
      const message = `Cannot write ${join(folder, name)}: no space is left on the disk${unchanged}`;
      await assert.rejects(writeAtomic(join(folder, name), "text"), { name: "RunError", message });
    }
    assert.equal(await Deno.readTextFile(join(folder, "old")), "old");
    assert.deepEqual(await namesIn(folder), ["old", "taken"]);
    await assert.rejects(writeAtomic(join(folder, "missing", "file"), "text"), RunError);
  },
);

Deno.test({
  name: "writeAtomic() names the file if writing is not allowed",
  permissions: { write: false },
  fn: async () => {
    await assert.rejects(writeAtomic("file", "text"), /^RunError: Cannot write file: requires write access/);
  },
});

testInFolder("checkFolderOf() refuses a file without a folder, and a folder in its place", async (folder) => {
  await Deno.mkdir(join(folder, "made.png"));
  await Deno.writeTextFile(join(folder, "file"), "");
  for (const name of ["x.png", "file"]) await checkFolderOf(join(folder, name));
  const refused = {
    "none/x.png": /: there is no folder .*none; /,
    "file/x.png": /: there is no folder .*file; /,
  };
  for (const [name, message] of Object.entries({ ...refused, "made.png": /: it is a folder / })) {
    await assert.rejects(checkFolderOf(join(folder, name)), { name: "RunError", message });
  }
});

testInFolder(
  "readMetrics() reads back what appendMetrics() wrote, and names a broken line",
  async (folder) => {
    const path = join(folder, "metrics.jsonl");
    assert.deepEqual(await readMetrics(path), []);
    const metrics: Metrics[] = [
      { step: 1, trainLoss: 0.1, phase: "train" },
      { step: 2, trainLoss: NaN, learningRate: Infinity, other: -Infinity },
    ];
    for (const line of metrics) appendMetrics(path, line);
    const [, second] = (await Deno.readTextFile(path)).split("\n");
    assert.equal(second, '{"step":2,"trainLoss":"NaN","learningRate":"Infinity","other":"-Infinity"}');
    assert.deepEqual(await readMetrics(path), metrics);
    await Deno.writeTextFile(path, '{"step":1}\n{"loss":2}\n{"step":3}\n');
    const message = `Cannot read ${path}: line 2 is not an object with a step: {"loss":2}`;
    await assert.rejects(readMetrics(path), { name: "RunError", message });
  },
);

testInFolder(
  "a killed run's incomplete line is skipped, replaced, and dropped with later ones",
  async (folder) => {
    const path = join(folder, "metrics.jsonl");
    const steps = async () => (await readMetrics(path)).map(({ step }) => step);
    for (const step of [10, 20, 30]) appendMetrics(path, { step });
    await Deno.writeTextFile(path, '{"step":1', { append: true });
    assert.deepEqual(await steps(), [10, 20, 30]);
    await truncateAfterStep(path, 30);
    appendMetrics(path, { step: 40 });
    assert.deepEqual(await steps(), [10, 20, 30, 40]);
    await truncateAfterStep(path, 25);
    assert.equal(await Deno.readTextFile(path), '{"step":10}\n{"step":20}\n');
    const rests = [['{"step":7,"train_lo', []], ['{"step":7}', [7]], ['{"note":"ü', []]] as const;
    for (const [rest, kept] of rests) {
      await Deno.writeTextFile(path, `{"step":6}\n${rest}`);
      for (const step of [8, 9]) appendMetrics(path, { step });
      assert.deepEqual(await steps(), [6, ...kept, 8, 9], rest);
    }
    await Deno.writeTextFile(path, '{"step":');
    appendMetrics(path, { step: 1 });
    assert.equal(await Deno.readTextFile(path), '{"step":1}\n');
  },
);

Deno.test("collectEnvironment() returns null for what it may not read", () => {
  const environment = collectEnvironment({ name: "software" }, startedAt);
  assert.deepEqual(JSON.parse(JSON.stringify(environment)), environment);
  const { adapter, cpuCount, memoryTotalBytes, gitCommit, codeDigest } = environment;
  assert.deepEqual([environment.startedAt, adapter], [startedAt.toISOString(), { name: "software" }]);
  assert.ok(cpuCount >= 1);
  const sys = Deno.permissions.querySync({ name: "sys" }).state === "granted";
  assert.equal(memoryTotalBytes !== null, sys);
  assert.ok(gitCommit === null || /^[0-9a-f]{40,64}$/.test(gitCommit));
  assert.equal(/^[0-9a-f]{64}$/.test(codeDigest ?? ""), granted("read"));
});

testInFolder("readCheckout() reads commit and branch from git's files", async (root) => {
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
  await removeLeftovers(lock);
  for (const name of ["weights", "flow"]) assert.deepEqual(await namesIn(join(run, name)), kept, name);
  assert.deepEqual(await namesIn(run), [lockName, "flow", "weights", ...kept].sort());
});

testInFolder("findContained() follows only links that stay inside the folder", async (folder) => {
  const run = join(folder, "run");
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
  const elsewhere = join(folder, "elsewhere");
  await Deno.symlink(run, elsewhere); // the folder itself may be a link
  for (const [where, name] of [[run, "config.json"], [run, "link.json"], [elsewhere, "link.json"]]) {
    assert.equal(findContained(join(where, name), where)?.size, 9, name);
    assert.deepEqual(await readJson(join(where, name)), { own: 1 }, name);
  }
  for (const name of ["broken.json", "config.json/below", "none.json"]) {
    assert.equal(findContained(join(run, name), run), undefined, name);
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
    const refused = { name: "RunError", message: `Cannot read ${run}/${name}: ${why}` };
    assert.throws(() => findContained(`${run}/${name}`, run), refused);
    await assert.rejects(readFile(`${run}/${name}`, run), refused);
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

testNeeding(
  { read: true, write: true, run: true },
  "tryLock() gives a lock to one program at a time, and takes over from one that was killed",
  () =>
    withFolder(async (folder) => {
      const process = await startHolder(folder);
      const answer = await tryLock(folder, lockName);
      assert.ok("holder" in answer);
      assert.equal(answer.holder?.pid, process.pid);
      assert.equal(await isLocked(folder), true);
      (await tryLock(folder, "another name") as Lock)[Symbol.dispose]();
      process.kill("SIGKILL");
      await process.status;
      assert.equal(await isLocked(folder), false);
      const tries = await Promise.all(Array.from({ length: 20 }, () => tryLock(folder, lockName)));
      const [taken, ...others] = tries.filter((answer) => "isHeld" in answer);
      assert.ok(taken?.isHeld() && others.length === 0, "one of many takes it over");
      assert.ok("holder" in await tryLock(folder, lockName), "it is held, even within one program");
      taken[Symbol.dispose]();
      taken[Symbol.dispose]();
      assert.deepEqual(await namesIn(folder), []);
    }),
);

testInFolder("lockRun() leaves a run to another machine, and says which file to remove", async (run) => {
  const path = join(run, lockName);
  await Deno.writeTextFile(path, "elsewhere 7 2026-01-01T00:00:00Z 0");
  assert.equal(await isLocked(run), true);
  const who = "process 7 on elsewhere since 2026-01-01T00:00:00Z is training or sending this run";
  const message = `Cannot write ${run}: ${who}; if it has ended, remove ${path}`;
  await assert.rejects(lockRun(run), { name: "RunError", message });
  await Deno.writeTextFile(path, ""); // a program was killed while taking it
  assert.equal(await isLocked(run), false);
  using _ = await lockRun(run);
  assert.equal(await isLocked(run), true);
  await assert.rejects(lockRun(run), { message: /: another program is training or sending this run; wait / });
});

testInFolder(
  "tryLock() locks the file at the path, even if the former holder has just removed it",
  async (run) => {
    const { tryLock: original } = Deno.FsFile.prototype;
    using _ = replacing([Deno.FsFile.prototype, {
      tryLock(this: Deno.FsFile, exclusive: boolean) {
        Deno.FsFile.prototype.tryLock = original;
        Deno.removeSync(join(run, lockName));
        return original.call(this, exclusive);
      },
    }]);
    using lock = await tryLock(run, lockName) as Lock;
    assert.ok(lock.isHeld() && await isLocked(run));
  },
);

testInFolder(
  "lockRun() guards a folder: nothing is written there after it was deleted or recreated",
  async (folder) => {
    const [run, other] = [join(folder, "run"), join(folder, "run-2")];
    for (const path of [run, other]) await Deno.mkdir(path);
    using old = await lockRun(run);
    const lost = {
      name: "RunError",
      message: new RegExp(`^Cannot write to ${run}: it was deleted or replaced `),
    };
    const assertLost = async () => {
      await assert.rejects(writeAtomic(join(run, "flow", "last.safetensors"), "new"), lost);
      assert.throws(() => appendMetrics(join(run, "metrics.jsonl"), { step: 1 }), lost);
      await assert.rejects(makeFolder(run, "samples"), lost);
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
