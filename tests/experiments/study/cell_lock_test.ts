import assert from "node:assert/strict";
import { join } from "node:path";
import { type CellLock, tryLockCell } from "../../../experiments/study/cell_lock.ts";
import { withFolder } from "../../folder.ts";
import { testNeeding } from "../../permissions.ts";

const needs = { read: true, write: true, run: true } as const;
const cell = { id: "base-s1" };

function isLock(answer: Awaited<ReturnType<typeof tryLockCell>>): answer is CellLock {
  return !("holder" in answer);
}

/** A program that locks a cell, says so, and waits. */
function holderProgram(folder: string): string {
  const module = new URL("../../../experiments/study/cell_lock.ts", import.meta.url);
  return `import { tryLockCell } from ${JSON.stringify(module.href)};
    const lock = await tryLockCell({ folder: ${JSON.stringify(folder)} }, { id: "base-s1" });
    console.log("holder" in lock ? "busy" : "held");
    setInterval(() => {}, 1000);`;
}

/** Starts it, and waits until it holds the lock. */
async function startHolder(folder: string): Promise<Deno.ChildProcess> {
  const process = new Deno.Command(Deno.execPath(), {
    args: ["eval", holderProgram(folder)],
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  const reader = process.stdout.getReader();
  const { value } = await reader.read();
  assert.equal(new TextDecoder().decode(value).trim(), "held");
  await reader.cancel();
  return process;
}

testNeeding(needs, "tryLockCell() gives a cell to one program at a time, and says who has it", async () => {
  await withFolder(async (folder) => {
    const process = await startHolder(folder);
    const answer = await tryLockCell({ folder }, cell);
    assert.ok(!isLock(answer));
    assert.equal(answer.holder?.pid, process.pid);
    assert.ok(Math.abs(Date.parse(answer.holder!.since) - Date.now()) < 60_000);
    const other = await tryLockCell({ folder }, { id: "base-s2" });
    assert.ok(isLock(other), "another cell is free");
    other[Symbol.dispose]();
    process.kill("SIGKILL");
    await process.status;
    const taken = await tryLockCell({ folder }, cell);
    assert.ok(isLock(taken), "a dead holder of this machine has lost it at once");
    assert.deepEqual((await names(folder)).sort(), ["base-s1.2"], "the next generation, and nothing else");
    taken[Symbol.dispose]();
    assert.deepEqual(await names(folder), []);
  });
});

testNeeding(needs, "tryLockCell() lets exactly one of many take a lock over", async () => {
  await withFolder(async (folder) => {
    const process = await startHolder(folder);
    process.kill("SIGKILL");
    await process.status;
    const answers = await Promise.all(Array.from({ length: 20 }, () => tryLockCell({ folder }, cell)));
    assert.ok(answers.filter(isLock).length <= 1);
    for (const answer of answers) if (isLock(answer)) answer[Symbol.dispose]();
    const last = await tryLockCell({ folder }, cell);
    assert.ok(isLock(last), "it is free afterwards");
    last[Symbol.dispose]();
  });
});

testNeeding(
  needs,
  "tryLockCell() takes the lock of another machine after minutes without a sign of life",
  async () => {
    await withFolder(async (folder) => {
      const path = join(folder, ".locks", "base-s1.1");
      await Deno.mkdir(join(folder, ".locks"));
      await Deno.writeTextFile(
        path,
        JSON.stringify({ host: "elsewhere", pid: 7, since: "2026-01-01T00:00:00Z" }),
      );
      const sign = async (secondsAgo: number) => {
        const time = new Date(Date.now() - 1000 * secondsAgo);
        await Deno.utime(path, time, time);
      };
      await sign(240);
      const busy = await tryLockCell({ folder }, cell);
      assert.ok(!isLock(busy));
      assert.deepEqual([busy.holder?.host, busy.holder?.pid], ["elsewhere", 7]);
      await sign(360);
      const taken = await tryLockCell({ folder }, cell);
      assert.ok(isLock(taken));
      taken[Symbol.dispose]();
    });
  },
);

testNeeding(
  needs,
  "tryLockCell() leaves a lock that has no content yet to who has just made it",
  async () => {
    await withFolder(async (folder) => {
      await Deno.mkdir(join(folder, ".locks"));
      await Deno.writeTextFile(join(folder, ".locks", "base-s1.1"), "");
      assert.deepEqual(await tryLockCell({ folder }, cell), { holder: undefined });
    });
  },
);

async function names(folder: string): Promise<string[]> {
  return await Array.fromAsync(Deno.readDir(join(folder, ".locks")), ({ name }) => name);
}
