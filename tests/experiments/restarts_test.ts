/** `--restarts`: the note from which `denow` restarts a training, and a run that dies in the middle. */

import assert from "node:assert/strict";
import { dirname } from "node:path";
import { fileURLToPath } from "node:url";
import { CpuDevice } from "../../kernels/devices/cpu/cpu_device.ts";
import { DeviceError } from "../../kernels/mod.ts";
import { replacing } from "../replacing.ts";
import { bareRun, ended, testTask, type Workplace } from "./cli.ts";

/** A new empty note, as `denow` makes it. */
async function noteIn(place: Workplace) {
  const path = place.file("note");
  await Deno.writeTextFile(path, "");
  const text = () => Deno.readTextFileSync(path);
  return { env: { DENOW_NOTE: path }, text };
}

const flags = `${bareRun} --max-steps 6 --checkpoint-minutes 0 --restarts 1`;

testTask("train removes the note when it ends by itself, in an error too", async (place) => {
  for (const [more, code] of [["--out run", 0], ["--out run", 1]] as const) { // then the folder is not empty
    const note = await noteIn(place);
    const ended = await place.run("train:base", `${flags} ${more}`, note.env);
    assert.equal(ended.code, code, ended.stderr);
    assert.throws(note.text, Deno.errors.NotFound);
  }
});

/** Trains until the note has a later step than that; then the device fails. Returns what the note said. */
async function failAfter(place: Workplace, step: number, flags: string, isLost = true): Promise<string[]> {
  const note = await noteIn(place);
  const { read } = CpuDevice.prototype;
  const noted: string[] = [];
  using _ = replacing([CpuDevice.prototype, {
    read(this: CpuDevice, range: Parameters<typeof read>[0]) {
      const text = note.text();
      if (text !== noted.at(-1)) noted.push(text);
      if (text === "" || parseInt(text) <= step) return read.call(this, range);
      return Promise.reject(Object.assign(new DeviceError("The device failed"), { isLost }));
    },
  }]);
  const { code, stderr } = await place.run("train:base", flags, note.env);
  assert.equal(code, 1);
  assert.match(stderr, /(^|\n)DeviceError: The device failed\n/);
  if (isLost) assert.equal(note.text(), noted.at(-1));
  else assert.throws(note.text, Deno.errors.NotFound);
  return noted;
}

testTask(
  "train notes the last saved step, from 0 on, and leaves it there if the device is lost",
  async (place) => {
    const first = await failAfter(place, 1, `${flags} --out lost`);
    assert.deepEqual(first.slice(0, 3), ["", "0 lost\n", "1 lost\n"]);
    const resumed = await failAfter(place, -1, "--resume lost --restarts 1"); // fails before another step
    assert.deepEqual(resumed, first.slice(-1));
    await failAfter(place, 1, `${flags} --out failed`, false);
  },
);

testTask("train that dies before the number of its steps is known can be resumed", async (place) => {
  const timed = flags.replace("--epochs 3 --max-minutes 0", "--max-minutes 0.005").replace(
    "--max-steps 6",
    "",
  );
  await failAfter(place, -1, `${timed} --out run`);
  await place.succeed("train:base", "--resume run");
  assert.ok(await place.stepOf("run") > 0);
});

/** A run long enough to be killed, even on a busy machine. */
const longRun = `${
  bareRun.replace("--epochs 3", "--epochs 8")
} --checkpoint-minutes 0 --optimizer adamw --ema 0.9`;

/** Trains by `denow` in `cut`, and kills the process of the training once; tries again if that comes too late. */
async function killedOnce(place: Workplace): Promise<string> {
  const denow = fileURLToPath(new URL("../../denow", import.meta.url));
  const words = `task train:base ${longRun} --out ${place.file("cut")} --restarts 1`.replace(
    "--data data",
    `--data ${place.file("data")}`,
  );
  const process = new Deno.Command("/bin/sh", {
    args: [denow, ...words.split(" ")],
    env: {
      PATH: `${dirname(Deno.execPath())}:/usr/bin:/bin`,
      ...{
        NO_COLOR: "1",
        DENOW_NO_INSTALL: "1",
        MLFLOW_TRACKING_URI: "",
        XDG_CONFIG_HOME: place.file(".config"),
      },
    },
    cwd: dirname(denow),
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const end = ended(process);
  while (await place.stepOf("cut") < 12) await new Promise((resolve) => setTimeout(resolve, 5));
  const [, pid] = (await Deno.readTextFile(place.file("cut", ".lock.1"))).split(" ");
  try {
    Deno.kill(Number(pid), "SIGKILL");
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
  const { code, stderr } = await end;
  assert.equal(code, 0, stderr);
  if (stderr.includes("restart 1")) return stderr;
  await Deno.remove(place.file("cut"), { recursive: true });
  return killedOnce(place);
}

testTask(
  "denow task train --restarts ends a killed run like an uninterrupted one",
  async (place) => {
    const said = await killedOnce(place);
    const step = Number(
      /^denow: \S+cut died \(exit code \d+\): restart 1 of 1, from step (\d+)$/m.exec(said)?.[1],
    );
    assert.ok(step > 0, said); // the note of step 12 may not be written yet
    await place.succeed("train:base", `${longRun} --out whole`);
    assert.deepEqual(await place.metrics("cut"), await place.metrics("whole"));
    assert.deepEqual(await place.state("cut"), await place.state("whole"));
    for (const name of ["last.safetensors", "ema.safetensors", "best.safetensors"]) {
      assert.equal(await place.digest("cut", name), await place.digest("whole", name), name);
    }
  },
  Deno.build.os === "windows" ? "needs a POSIX shell" : undefined,
);
