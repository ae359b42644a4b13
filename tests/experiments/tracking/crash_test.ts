/** Programs are killed and servers go down, but every point arrives exactly once. */

import assert from "node:assert/strict";
import { readMetrics } from "../../../experiments/run/metrics_log.ts";
import { ended, testTask, type Workplace } from "../cli.ts";
import { FakeMlflow, mirroredRun, pause, quick } from "./fake_mlflow.ts";
import { assertMirrored } from "./mirrored.ts";

/** Number of kills besides that of the last test; FLOW_KILLS=20 takes minutes. */
const kills = Deno.permissions.querySync({ name: "env", variable: "FLOW_KILLS" }).state === "granted"
  ? Number(Deno.env.get("FLOW_KILLS") ?? 2)
  : 2;

/** Defines a test in its own workplace, with a fake server. */
function testMirrored(name: string, test: (place: Workplace, server: FakeMlflow) => Promise<void>): void {
  testTask(name, async (place) => {
    await using server = await FakeMlflow.start();
    await test(place, server);
  });
}

/** The approximate number of lines that such a run writes. */
const maxLines = 18;

const envOf = ({ url }: FakeMlflow) => ({
  ...quick,
  MLFLOW_TRACKING_URI: url,
  MLFLOW_EXPERIMENT_NAME: "crash",
});

/** Waits until a condition holds; fails after a time that even a busy machine does not need. */
async function until(condition: () => Promise<boolean>, complaint: string): Promise<void> {
  const deadline = performance.now() + 300_000;
  while (!await condition()) {
    if (performance.now() > deadline) throw new Error(complaint);
    await pause(20);
  }
}

const linesOf = (place: Workplace, run: string) => readMetrics(place.file(run, "metrics.jsonl"));

const exists = (path: string) => Deno.stat(path).then(() => true, () => false);

testMirrored(
  "train continues while its server is down, and sends the rest when it is back",
  async (place, server) => {
    // Enough epochs to outlast the outage, but few enough lines and grids for the mirror to keep up.
    const endless = mirroredRun.replace("--epochs 3", "--epochs 100000")
      .replace("--log-every 3", "--log-every 60").replace("--val-epochs 1", "--val-epochs 20")
      .replace("--sample-epochs 2", "--sample-epochs 1000");
    const end = place.run("train:base", endless, envOf(server));
    const size = async () => (await linesOf(place, "run")).length;
    const sent = () => server.sent("runs/log-batch").length;
    await until(() => Promise.resolve(server.sent("runs/create").length > 0), "nothing was sent");
    let refused = 0;
    server.answer = () => (refused++, "refuse");
    const before = await size();
    await until(async () => refused > 1 && await size() > before, "training stalled");
    server.answer = () => undefined;
    const then = sent();
    await until(() => Promise.resolve(sent() > then), "the rest was not sent");
    Deno.kill(Deno.pid, "SIGTERM"); // SIGINT would also end the tests
    const { code, stderr } = await end;
    assert.equal(code, 143, stderr);
    const { info } = await assertMirrored(server, "crash", place.file("run"));
    assert.equal(info.status, "KILLED");
    const { stdout } = await place.succeed("sync", "run", envOf(server));
    assert.match(stdout, /^run: already complete/);
  },
);

testMirrored(
  `train killed at ${kills} random moments leaves a folder that sync mirrors exactly`,
  async (place, server) => {
    let [cut, whole] = [0, 0];
    for (let i = 0; i < kills; i++) {
      const run = `run${i}`;
      const flags = `${mirroredRun} --checkpoint-minutes 0`.replace("--out run", `--out ${run}`);
      const process = place.start("train:base", flags, envOf(server));
      let hasEnded = false;
      const end = ended(process).finally(() => hasEnded = true);
      await until(() => exists(place.file(run, "run.json")), "no run started");
      // A random time after a random line, so that kills are spread over the run even on slow machines.
      const line = Math.floor(Math.random() * maxLines);
      await until(
        async () => hasEnded || (await linesOf(place, run)).length >= line,
        `${run} did not write line ${line}`,
      );
      await pause(Math.random() * 300);
      try {
        process.kill("SIGKILL");
      } catch (error) {
        if (!(error instanceof TypeError)) throw error; // it has ended
      }
      const { code } = await end;
      if (code === 0) whole++;
      else cut++;
      // A kill may come between the last output of a run and the end of its program.
      const { status } = JSON.parse(await Deno.readTextFile(place.file(run, "run.json")));
      // A run killed before its first line has no metrics.jsonl yet, and nothing to compare.
      await Deno.writeTextFile(place.file(run, "metrics.jsonl"), "", { append: true });
      await place.succeed("sync", run, envOf(server));
      const { info } = await assertMirrored(server, "crash", place.file(run));
      assert.equal(info.status, status === "RUNNING" ? "KILLED" : status);
      if (code === 0) assert.equal(info.status, "FINISHED");
    }
    console.log(`${cut} runs were interrupted; ${whole} had already ended`);
  },
);

testMirrored("train --resume after a kill and a sync leaves every point once", async (place, server) => {
  // Steps after the last checkpoint are measured again.
  const longer = `${mirroredRun} --checkpoint-minutes 0.003`.replace("--epochs 3", "--epochs 20")
    .replace("--log-every 3", "--log-every 1").replace("--sample-epochs 2", "--sample-epochs 20");
  const savedStep = () => place.state("run").then(({ progress }) => Number(progress.step), () => Infinity);
  const process = place.start("train:base", longer, envOf(server));
  const end = ended(process);
  await until(async () => {
    process.kill("SIGSTOP"); // so that it does not move on
    await pause(20); // until all its threads have stopped
    const last = (await linesOf(place, "run")).at(-1)?.step ?? 0;
    if (last > await savedStep()) return true;
    process.kill("SIGCONT");
    return false;
  }, "the run was never caught after a checkpoint");
  process.kill("SIGKILL");
  await end;
  await place.succeed("sync", "run", envOf(server));
  const { info } = await assertMirrored(server, "crash", place.file("run"));
  assert.equal(info.status, "KILLED");
  const cut = await linesOf(place, "run");
  assert.ok(cut.at(-1)!.step > await savedStep());

  // The run folder names the server.
  await place.succeed("train:base", "--resume run", quick);
  const again = await assertMirrored(server, "crash", place.file("run"));
  assert.deepEqual([again.info.run_id, again.info.status], [info.run_id, "FINISHED"]);
  const replaced = (await place.names("run")).filter((name) => name.startsWith("metrics-replaced-"));
  assert.equal(replaced.length, 1, "nothing was measured again");
  assert.deepEqual((await linesOf(place, "run")).slice(0, cut.length), cut);
});
