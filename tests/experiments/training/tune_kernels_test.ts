import assert from "node:assert/strict";
import { DeviceError, type KernelChoice, type TuneOptions } from "../../../kernels/mod.ts";
import { ChoiceCache, tuneKernels } from "../../../experiments/training/tune_kernels.ts";
import { testInFolder } from "../../folder.ts";

const candidates = ["registers", "workgroups"];
const key = { adapter: "GPU of A", call: "matmul M=2", candidates: "12ab" };

/** A trainer with one call to choose, for which `workgroups` is fastest. */
class OneCall {
  measured = 0;
  #chosen: string | undefined;

  constructor(readonly adapter = "GPU of A") {}

  get runs(): string {
    return this.#chosen ?? "registers";
  }

  tune({ store, seconds = 5 }: TuneOptions = {}): Promise<KernelChoice[]> {
    const own = { ...key, adapter: this.adapter };
    const stored = store?.get(own);
    if (stored !== undefined) this.#chosen = stored;
    const measures = stored === undefined && seconds > 0;
    if (measures) {
      this.measured++;
      store?.set(own, this.#chosen = "workgroups");
    }
    const by = stored !== undefined ? "store" : measures ? "measurement" : "table";
    return Promise.resolve([{ key: own, calls: 1, candidates, chosen: this.runs, by, milliseconds: {} }]);
  }
}

const gpu = { kind: "webgpu", tuning: { software: false, workgroupSize: 64, pieces: 1 } } as const;
const software = { ...gpu, tuning: { ...gpu.tuning, software: true } } as const;

/** Defines a test in a new working directory with a folder `run`. */
function testHere(name: string, test: () => Promise<void>): void {
  testInFolder(name, async (folder) => {
    const before = Deno.cwd();
    Deno.chdir(folder);
    await Deno.mkdir("run");
    await test().finally(() => Deno.chdir(before));
  });
}

async function start(trainer: Pick<OneCall, "tune">, given: Partial<Parameters<typeof tuneKernels>[1]> = {}) {
  const said: string[] = [];
  const say = (line: string) => void said.push(line);
  await tuneKernels(trainer, { device: gpu, tune: "auto", run: "run", resumed: false, say, ...given });
  return said;
}

const noted = async () => JSON.parse(await Deno.readTextFile("run/kernels.json"));

testHere(
  "tuneKernels() measures on a GPU once, on a software adapter with --tune, nowhere with --no-tune",
  async () => {
    const trainers = [new OneCall(), new OneCall(), new OneCall("GPU of B")]; // the second uses the stored choice
    for (const trainer of trainers) assert.deepEqual(await start(trainer), []);
    assert.deepEqual(await noted(), { adapter: "GPU of B", calls: { "matmul M=2": "workgroups" } });
    assert.deepEqual(trainers.map(({ measured, runs }) => `${measured} ${runs}`), [
      ...["1 workgroups", "0 workgroups", "1 workgroups"],
    ]);
    for (
      const [device, tune, measured] of [[software, "auto", 0], [software, true, 1], [gpu, false, 0]] as const
    ) {
      await Deno.remove("runs", { recursive: true });
      await Deno.mkdir("runs");
      const trainer = new OneCall();
      await start(trainer, { device, tune });
      assert.equal(trainer.measured, measured, `${device.tuning.software} ${tune}`);
      assert.equal((await noted()).calls["matmul M=2"], trainer.runs);
    }
  },
);

testHere("tuneKernels() resumes a run with its own kernels, regardless of later measurements", async () => {
  const unrecorded = new OneCall(); // it trained with the default kernels
  await start(unrecorded, { resumed: true, tune: true });
  assert.deepEqual([unrecorded.measured, unrecorded.runs], [0, "registers"]);
  assert.equal((await noted()).calls["matmul M=2"], "registers");
  await start(new OneCall(), { run: "." }); // another run, which stores its measurements
  const resumed = new OneCall();
  await start(resumed, { resumed: true });
  assert.deepEqual([resumed.measured, resumed.runs], [0, "registers"]);
  const moved = new OneCall("GPU of B");
  assert.deepEqual(await start(moved, { resumed: true }), [
    "Choosing kernels again: the run's kernels are for GPU of A, but this is GPU of B",
  ]);
  assert.deepEqual([moved.measured, moved.runs, (await noted()).adapter], [1, "workgroups", "GPU of B"]);
});

testHere("tuneKernels() keeps measurements from before the device failed", async () => {
  const failing = new OneCall();
  const tune = failing.tune.bind(failing);
  failing.tune = async (options) => {
    await tune(options);
    if (options?.seconds !== 0) throw new DeviceError("lost");
    return await tune(options);
  };
  await assert.rejects(start(failing), { message: "lost" });
  const next = new OneCall();
  await start(next);
  assert.deepEqual([failing.measured, next.measured, next.runs], [1, 0, "workgroups"]);
});

testHere("tuneKernels() reports which kernels are not tuned yet, and rejects a damaged record", async () => {
  const calls = ["conv2d N=1", "matmul M=1", "matmul M=2", "linear M=1"];
  const choices = calls.map((call, i): KernelChoice => ({
    key: { ...key, call },
    ...{
      calls: 1,
      candidates,
      chosen: candidates[0],
      milliseconds: {},
      by: i === 3 ? "measurement" : "table",
    },
  }));
  assert.deepEqual(await start({ tune: () => Promise.resolve(choices) }), [
    "Not tuned yet, of 4 kernels: 2 matmul, 1 conv2d; the next start continues, or one with --tune",
  ]);
  for (const text of ["", "{}", '{"adapter":"a","calls":{"b":1}}', '{"adapter":1,"calls":{}}']) {
    await Deno.writeTextFile("run/kernels.json", text);
    const message = /^Cannot read run.kernels\.json: .*; restore the file from a backup$/;
    await assert.rejects(start(new OneCall(), { resumed: true }), { name: "RunError", message });
  }
});

const silent = (line: string) => assert.fail(line);

testHere("ChoiceCache keeps choices for the same adapter, call and candidates only", async () => {
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
});

testHere("ChoiceCache replaces a damaged or foreign file, and says why it cannot save", async () => {
  const [path, entry, said] = ["choices.json", { ...key, chosen: "a" }, [] as string[]];
  const say = (line: string) => void said.push(line);
  const others = [[], {}, { choices: [entry, { ...entry, chosen: 3 }] }, { choices: entry }];
  for (const text of ["", ...others.map((content) => JSON.stringify(content))]) {
    await Deno.writeTextFile(path, text);
    const cache = await ChoiceCache.open(path, say);
    assert.match(said.pop()!, /^Choosing kernels again: Cannot read choices\.json: /);
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
