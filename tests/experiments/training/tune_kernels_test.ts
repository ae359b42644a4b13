import assert from "node:assert/strict";
import { DeviceError, type KernelChoice, type TuneOptions } from "../../../kernels/mod.ts";
import { ChoiceCache, tuneKernels } from "../../../experiments/training/tune_kernels.ts";
import { testInFolder } from "../../folder.ts";

const candidates = ["registers", "workgroups"];
const key = { adapter: "GPU of A", call: "matmul M=2", candidates: "12ab" };

/** A trainer with one call to choose, for which `workgroups` is fastest. */
class OneCall {
  measured = 0;
  runs = "registers";

  constructor(readonly adapter = "GPU of A") {}

  tune({ store, seconds = 5 }: TuneOptions = {}): Promise<KernelChoice[]> {
    const own = { ...key, adapter: this.adapter };
    const stored = store?.get(own);
    const by = stored !== undefined ? "store" : seconds > 0 ? "measurement" : "table";
    if (by === "measurement") {
      this.measured++;
      store?.set(own, "workgroups");
    }
    this.runs = stored ?? (by === "table" ? this.runs : "workgroups");
    return Promise.resolve([{ key: own, calls: 1, candidates, chosen: this.runs, by, milliseconds: {} }]);
  }
}

const [gpu, software] = [false, true].map((software) => {
  return { kind: "webgpu", tuning: { software, workgroupSize: 64, pieces: 1 } } as const;
});

/** Defines a test in a new working directory with a folder `run`. */
function testHere(name: string, test: () => Promise<void>): void {
  testInFolder(name, async (folder) => {
    const before = Deno.cwd();
    Deno.chdir(folder);
    await Deno.mkdir("run");
    await test().finally(() => Deno.chdir(before));
  });
}

type Given = Partial<Parameters<typeof tuneKernels>[1]>;

/** Starts training. @returns the messages */
async function start(trainer: Pick<OneCall, "tune">, given: Given = {}) {
  const said: string[] = [];
  const say = (line: string) => void said.push(line);
  await tuneKernels(trainer, { device: gpu, tune: "auto", run: "run", resumed: false, say, ...given });
  return said;
}

const noted = async () => JSON.parse(await Deno.readTextFile("run/kernels.json"));

testHere("tuneKernels() measures on a GPU once, on a software adapter with --tune", async () => {
  const onB = "GPU of B";
  // Starts one after another, with the number of measurements and the kernel that each runs then.
  const starts: [given: Given, measured: number, runs: string, adapter?: string][] = [
    [{ device: gpu, tune: false }, 0, "registers"],
    [{ device: software }, 0, "registers"],
    [{ device: software, tune: true }, 1, "workgroups"],
    [{}, 0, "workgroups"], // by the stored choice
    [{}, 1, "workgroups", onB],
  ];
  for (const [given, measured, runs, adapter] of starts) {
    const trainer = new OneCall(adapter);
    assert.deepEqual(await start(trainer, given), []);
    assert.deepEqual([trainer.measured, trainer.runs], [measured, runs], JSON.stringify(given));
    assert.deepEqual(await noted(), { adapter: trainer.adapter, calls: { "matmul M=2": runs } });
  }
  await Deno.remove("runs", { recursive: true });
  const measured = new OneCall();
  await start(measured);
  assert.equal(measured.measured, 1, "a GPU is measured by itself");
});

testHere("tuneKernels() resumes a run with its own kernels, regardless of later measurements", async () => {
  const resume = async (trainer: OneCall, given: Given = {}) => {
    const said = await start(trainer, { resumed: true, ...given });
    const { adapter, calls } = await noted();
    return [trainer.measured, trainer.runs, adapter, calls["matmul M=2"], ...said];
  };
  // It trained with the default kernels.
  assert.deepEqual(await resume(new OneCall(), { tune: true }), [0, "registers", "GPU of A", "registers"]);
  await start(new OneCall(), { run: "." }); // another run, which stores its measurements
  assert.deepEqual(await resume(new OneCall()), [0, "registers", "GPU of A", "registers"]);
  assert.deepEqual(await resume(new OneCall("GPU of B")), [
    ...[1, "workgroups", "GPU of B", "workgroups"],
    "Choosing kernels again: the run's kernels are for GPU of A, but this is GPU of B",
  ]);
  for (const text of ["", "{}", '{"adapter":"a","calls":{"b":1}}', '{"adapter":1,"calls":{}}']) {
    await Deno.writeTextFile("run/kernels.json", text);
    const message = /^Cannot read run.kernels\.json: .*; restore the file from a backup$/;
    await assert.rejects(resume(new OneCall()), { name: "RunError", message });
  }
});

testHere("tuneKernels() keeps measurements if the device fails, and says what is left", async () => {
  const failing = new OneCall();
  const tune = failing.tune.bind(failing);
  failing.tune = async (options) => {
    const choices = await tune(options);
    if (options?.seconds !== 0) throw new DeviceError("lost");
    return choices;
  };
  await assert.rejects(start(failing), { message: "lost" });
  const next = new OneCall();
  await start(next);
  assert.deepEqual([failing.measured, next.measured, next.runs], [1, 0, "workgroups"]);
  const calls = ["conv2d N=1", "matmul M=1", "matmul M=2", "linear M=1"];
  const choices = calls.map((call, i): KernelChoice => {
    const by = i === 3 ? "measurement" : "table";
    return { key: { ...key, call }, calls: 1, candidates, chosen: candidates[0], milliseconds: {}, by };
  });
  assert.deepEqual(await start({ tune: () => Promise.resolve(choices) }), [
    "Not tuned yet, of 4 kernels: 2 matmul, 1 conv2d; the next start continues, or one with --tune",
  ]);
});

const silent = (line: string) => assert.fail(line);

testHere("ChoiceCache keeps choices by adapter, call and candidates in one file", async () => {
  const path = "new/choices.json";
  const [first, other] = [await ChoiceCache.open(path, silent), await ChoiceCache.open(path, silent)];
  assert.equal(first.get(key), undefined);
  first.set(key, "registers");
  other.set({ ...key, call: "other" }, "b");
  for (const cache of [first, other]) await cache.save(silent); // keeps what another program added meanwhile
  const both = await ChoiceCache.open(path, silent);
  assert.deepEqual([both.get(key), both.get({ ...key, call: "other" })], ["registers", "b"]);
  for (const other of [{ adapter: "GPU of B" }, { call: "matmul A=1 M=3" }, { candidates: "12ac" }]) {
    assert.equal(both.get({ ...key, ...other }), undefined, Object.keys(other).join());
  }
  const said: string[] = [];
  const say = (line: string) => void said.push(line);
  const entry = { ...key, chosen: "a" };
  const others = [[], {}, { choices: [entry, { ...entry, chosen: 3 }] }, { choices: entry }];
  for (const text of ["", ...others.map((content) => JSON.stringify(content))]) {
    await Deno.writeTextFile(path, text);
    const cache = await ChoiceCache.open(path, say);
    assert.match(said.pop()!, /^Choosing kernels again: Cannot read new.choices\.json: /);
    assert.deepEqual([cache.get(key), said], [undefined, []]);
    cache.set(key, "b");
    await cache.save(silent);
    assert.equal((await ChoiceCache.open(path, silent)).get(key), "b");
  }
  const blocked = await ChoiceCache.open(`${path}/choices.json`, () => {}); // a file in the folder's place
  blocked.set(key, "a");
  await blocked.save(say);
  assert.match(said.join(), /^Cannot save the kernel choices for the next start: .*choices/);
});
