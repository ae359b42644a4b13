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

testInFolder("createRunFolder() names folders by time and name, without duplicates", async (folder) => {
  const root = join(folder, "runs");
  const options = { name: "base", root, startedAt };
  assert.equal(await createRunFolder(options), join(root, "20240102-030405-base"));
  assert.equal(await createRunFolder(options), join(root, "20240102-030405-base-2"));
  assert.deepEqual(await namesIn(root), ["20240102-030405-base", "20240102-030405-base-2"]);
});

testInFolder("createRunFolder() accepts a new or empty folder and refuses others", async (folder) => {
  const out = join(folder, "new", "run");
  assert.equal(await createRunFolder({ name: "base", out, startedAt }), out);
  using lock = await lockRun(out);
  assert.equal(await createRunFolder({ name: "base", out, startedAt }), out, "locked by the caller");
  lock[Symbol.dispose]();

  await Deno.writeTextFile(join(out, "notes.txt"), "mine");
  await assert.rejects(createRunFolder({ name: "base", out, startedAt }), {
    name: "RunError",
    message: `Cannot use ${out} as run folder: it holds notes.txt (expected a new or empty folder; ` +
      `to continue an earlier run, use --resume ${out})`,
  });
  assert.deepEqual(await namesIn(out), ["notes.txt"]);
  const file = join(out, "notes.txt");
  await assert.rejects(createRunFolder({ name: "base", out: file, startedAt }), RunError);
  assert.equal(await Deno.readTextFile(file), "mine");
});

testInFolder("writeAtomic() replaces text and bytes, and leaves no temporary file", async (folder) => {
  const path = join(folder, "file");
  await writeAtomic(path, "old and longer");
  await writeAtomic(path, "ñew");
  assert.equal(await Deno.readTextFile(path), "ñew");
  await writeAtomic(path, new Uint8Array([0, 255, 10]));
  assert.deepEqual(await Deno.readFile(path), new Uint8Array([0, 255, 10]));
  await writeAtomic(path, "");
  assert.equal(await Deno.readTextFile(path), "");
  assert.deepEqual(await namesIn(folder), ["file"]);
});

testInFolder("writeAtomic() flushes the content to disk before renaming", async (folder) => {
  const events: string[] = [];
  const { FsFile: { prototype: file }, rename } = Deno;
  using _ = replacing(
    [file, { sync: () => Promise.resolve(events.push("sync")) }],
    [Deno, { rename: (...paths: [string, string]) => (events.push("rename"), rename(...paths)) }],
  );
  await writeAtomic(join(folder, "file"), "content");
  assert.deepEqual(events, ["sync", "rename"]);
});

testInFolder("writeAtomic() shows readers one whole content, even with several writers", async (folder) => {
  const path = join(folder, "file");
  const size = 1 << 20;
  await writeAtomic(path, new Uint8Array(size));
  let writing = true;
  const write = (value: number) => writeAtomic(path, new Uint8Array(size).fill(value));
  const writers = (async () => {
    for (let value = 1; value <= 9; value += 3) await Promise.all([0, 1, 2].map((i) => write(value + i)));
    writing = false;
  })();
  while (writing) {
    const bytes = await Deno.readFile(path);
    assert.equal(bytes.length, size);
    assert.equal(bytes[0], bytes[size - 1]);
  }
  await writers;
  assert.deepEqual(await namesIn(folder), ["file"]);
});

testInFolder(
  "writeAtomic() leaves no trace if it cannot write, and says what is unchanged",
  async (folder) => {
    await Deno.mkdir(join(folder, "taken", "inner"), { recursive: true });
    await assert.rejects(writeAtomic(join(folder, "taken"), "text"), {
      name: "RunError",
      message: /^Cannot write \S+taken: [^\n]+; the file is unchanged$/,
    });
    using _ = replacing([Deno, {
      rename: () => Promise.reject(Object.assign(new Error(), { code: "ENOSPC" })),
    }]);
    await Deno.writeTextFile(join(folder, "old"), "old");
    for (const [name, unchanged] of [["old", "; the file is unchanged"], ["new", ""]]) {
      await assert.rejects(writeAtomic(join(folder, name), "text"), {
        name: "RunError",
        message: `Cannot write ${join(folder, name)}: no space is left on the disk${unchanged}`,
      });
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
  await checkFolderOf(join(folder, "x.png"));
  await Deno.mkdir(join(folder, "made.png"));
  await Deno.writeTextFile(join(folder, "file"), "");
  await checkFolderOf(join(folder, "file"));
  for (
    const [name, says] of [
      ["none/x.png", /: there is no folder .*none; make it first$/],
      ["file/x.png", /: there is no folder .*file; make it first$/],
      ["made.png", /: it is a folder \(expected a file\)$/],
    ] as const
  ) await assert.rejects(checkFolderOf(join(folder, name)), { name: "RunError", message: says });
});

testInFolder("readMetrics() reads back what appendMetrics() wrote", async (folder) => {
  const path = join(folder, "metrics.jsonl");
  assert.deepEqual(await readMetrics(path), []);
  const metrics: Metrics[] = [
    { step: 1, trainLoss: 0.1, phase: "train" },
    { step: 2, trainLoss: NaN, learningRate: Infinity, other: -Infinity },
  ];
  for (const line of metrics) appendMetrics(path, line);
  assert.equal(
    await Deno.readTextFile(path),
    '{"step":1,"trainLoss":0.1,"phase":"train"}\n' +
      '{"step":2,"trainLoss":"NaN","learningRate":"Infinity","other":"-Infinity"}\n',
  );
  assert.deepEqual(await readMetrics(path), metrics);
});

testInFolder("truncateAfterStep() drops later lines and an incomplete one", async (folder) => {
  const path = join(folder, "metrics.jsonl");
  for (const step of [10, 20, 30]) appendMetrics(path, { step, trainLoss: NaN });
  await Deno.writeTextFile(path, '{"step":1', { append: true });
  assert.deepEqual((await readMetrics(path)).map(({ step }) => step), [10, 20, 30]);

  await truncateAfterStep(path, 30);
  appendMetrics(path, { step: 40 });
  assert.deepEqual((await readMetrics(path)).map(({ step }) => step), [10, 20, 30, 40]);
  await truncateAfterStep(path, 25);
  assert.equal(
    await Deno.readTextFile(path),
    '{"step":10,"trainLoss":"NaN"}\n{"step":20,"trainLoss":"NaN"}\n',
  );
});

testInFolder("appendMetrics() replaces an incomplete line of a killed run", async (folder) => {
  const path = join(folder, "metrics.jsonl");
  for (
    const [rest, kept] of [['{"step":7,"train_lo', []], ['{"step":7}', [7]], ['{"note":"ü', []]] as const
  ) {
    await Deno.writeTextFile(path, `{"step":6}\n${rest}`);
    for (const step of [8, 9]) appendMetrics(path, { step });
    assert.deepEqual((await readMetrics(path)).map(({ step }) => step), [6, ...kept, 8, 9], rest);
  }
  await Deno.writeTextFile(path, '{"step":');
  appendMetrics(path, { step: 1 });
  assert.equal(await Deno.readTextFile(path), '{"step":1}\n');
});

testInFolder("readMetrics() names a broken line", async (folder) => {
  const path = join(folder, "metrics.jsonl");
  await Deno.writeTextFile(path, '{"step":1}\n{"loss":2}\n{"step":3}\n');
  await assert.rejects(readMetrics(path), {
    name: "RunError",
    message: `Cannot read ${path}: line 2 is not an object with a step: {"loss":2}`,
  });
});

Deno.test("collectEnvironment() returns null for what it may not read", () => {
  const environment = collectEnvironment({ name: "software" }, startedAt);
  assert.deepEqual(JSON.parse(JSON.stringify(environment)), environment);
  assert.equal(environment.startedAt, startedAt.toISOString());
  assert.equal(environment.denoVersion, Deno.version.deno);
  assert.deepEqual(environment.adapter, { name: "software" });
  assert(environment.cpuCount >= 1);
  const sys = Deno.permissions.querySync({ name: "sys" }).state === "granted";
  assert.equal(environment.memoryTotalBytes !== null, sys);
  assert.equal(environment.gitCommit === null || /^[0-9a-f]{40,64}$/.test(environment.gitCommit), true);
  const mayRead = granted("read");
  assert.equal(/^[0-9a-f]{64}$/.test(environment.codeDigest ?? ""), mayRead);
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
  for (const [folder, file] of [["main", "main/.git/HEAD"], ["tree", "main/.git/worktrees/tree/HEAD"]]) {
    for (
      const [head, commit, branch] of [
        ["ref: refs/heads/main", loose, "main"],
        ["ref: refs/heads/a/b", packed, "a/b"],
        ["ref: refs/heads/new", undefined, "new"],
        [packed, packed, undefined],
      ] as const
    ) {
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
  await Deno.symlink("config.json", join(run, "link.json"));
  await Deno.symlink("../outside.json", join(run, "out.json"));
  await Deno.symlink("..", join(run, "up"));
  await Deno.symlink("nowhere", join(run, "broken.json"));
  await Deno.symlink(run, join(folder, "elsewhere")); // the folder itself may be a link
  for (
    const [where, name] of [[run, "config.json"], [run, "link.json"], [
      join(folder, "elsewhere"),
      "link.json",
    ]]
  ) {
    assert.equal(findContained(join(where, name), where)?.size, 9, name);
    assert.deepEqual(await readJson(join(where, name)), { own: 1 }, name);
  }
  for (const name of ["broken.json", "config.json/below", "none.json"]) {
    assert.equal(findContained(join(run, name), run), undefined, name);
    assert.equal(await readIfThere(join(run, name), run), undefined, name);
  }
  for (
    const [name, why] of [
      ["out.json", `it leads out of the folder ${run} (expected a file in it)`],
      ["up/outside.json", `it leads out of the folder ${run} (expected a file in it)`],
      ["../outside.json", `it leads out of the folder ${run} (expected a file in it)`],
      ["flow", "it is a folder"],
    ]
  ) {
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
  await assert.rejects(lockRun(run), {
    name: "RunError",
    message:
      `Cannot write ${run}: process 7 on elsewhere since 2026-01-01T00:00:00Z is training or sending this run; ` +
      `if it has ended, remove ${path}`,
  });
  await Deno.writeTextFile(path, ""); // a program was killed while taking it
  assert.equal(await isLocked(run), false);
  using _ = await lockRun(run);
  assert.equal(await isLocked(run), true);
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
