import assert from "node:assert/strict";
import { join } from "node:path";
import { writeAtomic } from "../../../experiments/run/atomic_write.ts";
import { lastStep, readMetrics } from "../../../experiments/run/metrics_log.ts";
import { isLocked, type Lock, lockRun, tryLock } from "../../../experiments/run/run_lock.ts";
import { cellFolder } from "../../../experiments/study/study.ts";
import { runCell } from "../../../experiments/study/run_cell.ts";
import { init } from "../../../kernels/mod.ts";
import { testInFolder, withFolder } from "../../folder.ts";
import { testNeeding } from "../../permissions.ts";
import { makeStudy } from "../study/tiny_study.ts";

const name = "base-s1";
const minuteMs = 60_000;

function isLock(answer: Awaited<ReturnType<typeof tryLock>>): answer is Lock {
  return !("holder" in answer);
}

async function names(folder: string): Promise<string[]> {
  const all = await Array.fromAsync(Deno.readDir(folder), ({ name }) => name);
  return all.sort();
}

/** Writes a lock of another machine, with its last heartbeat some minutes ago. */
async function lockElsewhere(folder: string, minutesAgo: number, name = "base-s1"): Promise<void> {
  const path = join(folder, `${name}.1`);
  await Deno.writeTextFile(path, "elsewhere 7 2026-01-01T00:00:00Z");
  const time = new Date(Date.now() - minutesAgo * minuteMs);
  await Deno.utime(path, time, time);
}

/** Starts a program that locks the cell, and waits until it holds it. */
async function startHolder(folder: string): Promise<Deno.ChildProcess> {
  const module = new URL("../../../experiments/run/run_lock.ts", import.meta.url);
  const program = `import { tryLock } from ${JSON.stringify(module.href)};
    const lock = await tryLock(${JSON.stringify(folder)}, "base-s1");
    console.log("holder" in lock ? "busy" : "held");
    setInterval(() => {}, 1000);`;
  const process = new Deno.Command(Deno.execPath(), {
    args: ["eval", program],
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  const reader = process.stdout.getReader();
  const { value } = await reader.read();
  assert.equal(new TextDecoder().decode(value).trim(), "held");
  await reader.cancel();
  return process;
}

testNeeding(
  { read: true, write: true, run: true },
  "tryLock() gives a lock to one program at a time, and takes over from one that was killed",
  async () => {
    await withFolder(async (folder) => {
      const process = await startHolder(folder);
      const answer = await tryLock(folder, name);
      assert.ok(!isLock(answer));
      assert.equal(answer.holder?.pid, process.pid);
      const other = await tryLock(folder, "base-s10");
      assert.ok(isLock(other), "another name is free");
      other[Symbol.dispose]();
      process.kill("SIGKILL");
      await process.status;
      const taken = await tryLock(folder, name);
      assert.ok(isLock(taken), "a dead holder on this machine loses it immediately");
      assert.deepEqual(await names(folder), ["base-s1.2"], "the next generation, and nothing else");
      assert.ok(!isLock(await tryLock(folder, name)), "it is held, even within one program");
      taken[Symbol.dispose]();
      taken[Symbol.dispose]();
      assert.deepEqual(await names(folder), []);
    });
  },
);

testInFolder(
  "tryLock() takes the lock of another machine after five minutes without a heartbeat",
  async (folder) => {
    await lockElsewhere(folder, 4);
    const busy = await tryLock(folder, name);
    assert.ok(!isLock(busy));
    assert.deepEqual([busy.holder?.host, busy.holder?.pid], ["elsewhere", 7]);
    await Deno.writeTextFile(join(folder, "base-s1.1"), ""); // a program is writing it
    assert.deepEqual(await tryLock(folder, name), { holder: undefined });
    await lockElsewhere(folder, 6);
    const taken = await tryLock(folder, name);
    assert.ok(isLock(taken));
    taken[Symbol.dispose]();
  },
);

testInFolder("lockRun() leaves a run to another machine that sends heartbeats", async (run) => {
  await lockElsewhere(run, 4, ".lock");
  assert.equal(await isLocked(run), true);
  await assert.rejects(lockRun(run), { name: "RunError", message: /another program is training/ });
  await lockElsewhere(run, 6, ".lock");
  assert.equal(await isLocked(run), false);
  using _ = await lockRun(run);
  assert.equal(await isLocked(run), true);
  assert.deepEqual(await names(run), [".lock.2"]);
  await Deno.writeTextFile(join(run, ".lock.3"), "elsewhere 7 2026-01-01T00:00:00Z"); // which takes it over
  await Deno.remove(join(run, ".lock.2"));
  await assert.rejects(writeAtomic(join(run, "config.json"), "{}"), {
    name: "RunError",
    message: /replaced/,
  });
});

testInFolder("tryLock() lets exactly one of many programs take a lock over", async (folder) => {
  await lockElsewhere(folder, 6);
  const answers = await Promise.all(Array.from({ length: 20 }, () => tryLock(folder, name)));
  assert.equal(answers.filter(isLock).length, 1);
  for (const answer of answers) if (isLock(answer)) answer[Symbol.dispose]();
  const last = await tryLock(folder, name);
  assert.ok(isLock(last), "it is free afterwards");
  last[Symbol.dispose]();
});

/** Calls back with fake timers, which the test fires itself. */
async function withFakeTimers<T>(use: (beats: { beat: () => Promise<void>; ms: number }[]) => Promise<T>) {
  const { setInterval } = globalThis;
  const beats: { beat: () => Promise<void>; ms: number }[] = [];
  const fake = (beat: () => Promise<void>, ms: number) => {
    beats.push({ beat, ms });
    return setInterval(() => {}, 10 * minuteMs);
  };
  globalThis.setInterval = fake as typeof setInterval;
  return await use(beats).finally(() => globalThis.setInterval = setInterval);
}

testInFolder(
  "Lock sends heartbeats, and notices when it is lost",
  (root) =>
    withFakeTimers(async (beats) => {
      const folder = join(root, "locks");
      const path = join(folder, "base-s1.1");
      const losses: (() => Promise<void>)[] = [
        () => Deno.writeTextFile(join(folder, "base-s1.2"), ""), // another program has taken it over
        () => Deno.remove(folder, { recursive: true }),
        async () => { // the folder is made anew, and another program has locked the cell
          await Deno.remove(path);
          await Deno.writeTextFile(path, "");
        },
      ];
      for (const lose of losses) {
        await Deno.mkdir(folder);
        const lock = await tryLock(folder, name);
        assert.ok(isLock(lock));
        using _ = lock;
        const { beat, ms } = beats.at(-1)!;
        assert.ok(ms <= minuteMs, "several heartbeats before it counts as dead");
        const old = new Date(Date.now() - 6 * minuteMs);
        await Deno.utime(path, old, old);
        await beat();
        assert.ok(Date.now() - (await Deno.stat(path)).mtime!.getTime() < 5 * minuteMs);
        assert.ok(!lock.lost.aborted);
        await lose();
        await beat();
        assert.ok(lock.lost.aborted, `${lose}`);
        await Deno.remove(folder, { recursive: true }).catch(() => {});
      }
    }),
);

testInFolder(
  "runCell() stops once another program has taken its lock over",
  (root) =>
    withFakeTimers(async (beats) => {
      const study = await makeStudy(join(root, "study"), { grid: { model: ["base"] }, seeds: [1] });
      const [cell] = study.cells;
      const device = await init({ device: "cpu", threads: 1 });
      const stop = new AbortController();
      const say = async (line: string) => {
        if (line.startsWith("Training the judge")) stop.abort(); // it was not stopped
        await Deno.writeTextFile(join(study.folder, ".locks", `${cell.id}.2`), "");
        await beats[1].beat(); // the first one was that of the plan
      };
      const options = {
        device,
        signal: stop.signal,
        say: (line: string) => void say(line),
        mlflow: null,
        experiment: null,
      };
      assert.equal(await runCell(study, { ...cell, steps: 2000 }, options), "stopped");
      assert.ok(lastStep(await readMetrics(join(cellFolder(study, cell), "metrics.jsonl"))) < 2000);
      device.close();
    }),
);
