/** Virtual environments, created by stand-ins for python3, and servers that end. */

import assert from "node:assert/strict";
import { join } from "node:path";
import { pythonCommand, untilEnded } from "../../../experiments/python/python_environment.ts";
import { withFolder } from "../../folder.ts";
import { testNeeding } from "../../permissions.ts";

const module = JSON.stringify(import.meta.resolve("../../../experiments/python/python_environment.ts"));

/** The results of pythonEnvironment() in several programs if `python3` is this script, or missing; FOLDER is their folder. */
async function environments(python3: string | undefined, count = 1) {
  return await withFolder(async (folder) => {
    const bin = join(folder, "bin");
    const place = join(folder, "places", "one");
    await Deno.mkdir(bin);
    const isolated = '[ "$1 $PYTHONSAFEPATH" = "-I 1" ] || { echo "not isolated"; exit 1; }; shift';
    const script = `#!/bin/sh\n${isolated}\n${python3?.replaceAll("FOLDER", folder)}\n`;
    if (python3) await Deno.writeTextFile(join(bin, "python3"), script, { mode: 0o755 });
    const program = `import { pythonEnvironment } from ${module};
      console.log(JSON.stringify(await pythonEnvironment(${JSON.stringify(place)}, ["some==1"])));`;
    const options = { args: ["eval", program], env: { PATH: bin, NO_COLOR: "1" } };
    const outputs = await Promise.all(
      Array.from({ length: count }, () => new Deno.Command(Deno.execPath(), options).output()),
    );
    const found: unknown[] = outputs.map(({ success, stdout, stderr }) => {
      assert.ok(success, new TextDecoder().decode(stderr));
      return JSON.parse(new TextDecoder().decode(stdout).replaceAll(folder, "FOLDER"));
    });
    const log = await Deno.readTextFile(join(folder, "made")).catch(() => "");
    const left = (await Array.fromAsync(Deno.readDir(join(folder, "places")))).map(({ name }) => name);
    return { found, made: log.trim().split("\n").length, left };
  });
}

const needed = { read: true, write: true, run: true } as const;
const advice =
  "on Debian and Ubuntu, ./denow installs it as root; other users run 'sudo apt-get install python3-venv'";
const debian = `echo "The virtual environment was not created successfully because ensurepip is not
available.  On Debian/Ubuntu systems, you need to install the python3-venv
package using the following command.

    apt install python3.13-venv

Failing command: /some/bin/python3"; exit 1`;
const pip = `case "$*" in *pip*) echo "no network" >&2; exit 1 ;; esac`;

testNeeding(
  needed,
  "pythonEnvironment() explains why there is none and what to do, and leaves nothing behind",
  async () => {
    const cases: [python3: string | undefined, reason: string][] = [
      [debian, `python3 cannot create virtual environments (${advice})`],
      [undefined, `python3 is not installed (${advice})`],
      ["{ echo first; echo the disk is full; }; exit 1", "python3 -m venv failed: the disk is full"],
      ["{ echo first; echo the disk is full; } >&2; exit 1", "python3 -m venv failed: the disk is full"],
      [pip, "pip install failed: no network"],
    ];
    for (const [python3, reason] of cases) {
      const { found, left } = await environments(python3);
      assert.deepEqual({ found, left }, { found: [{ reason }], left: [] });
    }
  },
);

testNeeding(needed, "pythonEnvironment() is built once if several programs need it", async () => {
  // The third argument is the environment to create; pip has nothing to do.
  const python3 = `case "$*" in
  *pip*) ;;
  *) echo "$3" >>"FOLDER/made"; /bin/sleep 0.3; /bin/mkdir -p "$3/bin"; : >"$3/bin/python" ;;
esac`;
  const { found, made } = await environments(python3, 3);
  assert.deepEqual([found, made], [Array(3).fill("FOLDER/places/one/bin/python"), 1]);
});

testNeeding(needed, "pythonCommand() imports nothing from the working folder", async () => {
  await withFolder(async (cwd) => {
    for (const name of ["json", "venv"]) {
      await Deno.writeTextFile(join(cwd, `${name}.py`), "print('planted')");
    }
    const child = `import subprocess, sys
if sys.version_info >= (3, 11): subprocess.run([sys.executable, "-c", "import json"])`;
    for (const args of [["-c", "import json"], ["-m", "venv", "--help"], ["-c", child]]) {
      const output = await pythonCommand("python3", { args, cwd, stderr: "null" }).output().catch(() =>
        undefined
      );
      if (output === undefined) return; // no Python here, so none to mislead
      assert.doesNotMatch(new TextDecoder().decode(output.stdout), /planted/, `${args}`);
    }
  });
});

const ended = (code: number, signal: Deno.Signal | null = null) => ({
  status: Promise.resolve({ success: code === 0, code, signal }),
});

Deno.test("untilEnded() fails if a server ends by itself", async () => {
  const { signal: running } = new AbortController();
  await untilEnded("MLflow", ended(0), running, "x.log");
  await untilEnded("MLflow", ended(143, "SIGTERM"), AbortSignal.abort(), "x.log");
  await assert.rejects(untilEnded("MLflow", ended(1), running, "x.log"), {
    name: "PythonError",
    message: "Cannot keep serving: MLflow ended with exit code 1; see x.log",
  });
  await assert.rejects(untilEnded("JupyterLab", ended(137, "SIGKILL"), running, "above"), {
    name: "PythonError",
    message: "Cannot keep serving: JupyterLab ended by SIGKILL; see above",
  });
});
