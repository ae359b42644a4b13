/** Virtual environments, made by stand-ins for python3, and servers that end. */

import assert from "node:assert/strict";
import { join } from "node:path";
import { untilEnded } from "../../../experiments/python/python_environment.ts";
import { withFolder } from "../../folder.ts";
import { testNeeding } from "../../permissions.ts";

const module = JSON.stringify(
  new URL("../../../experiments/python/python_environment.ts", import.meta.url).href,
);

/** What pythonEnvironment() returns if `python3` is this script, or missing. */
async function environmentWith(python3?: string): Promise<unknown> {
  return await withFolder(async (folder) => {
    const bin = join(folder, "bin");
    await Deno.mkdir(bin);
    if (python3) await Deno.writeTextFile(join(bin, "python3"), `#!/bin/sh\n${python3}\n`, { mode: 0o755 });
    const program = `import { pythonEnvironment } from ${module};
      console.log(JSON.stringify(await pythonEnvironment(${
      JSON.stringify(join(folder, "place"))
    }, ["some==1"])));`;
    const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["eval", program],
      env: { PATH: bin, NO_COLOR: "1" },
    }).output();
    assert.ok(success, new TextDecoder().decode(stderr));
    assert.deepEqual((await Array.fromAsync(Deno.readDir(folder))).map(({ name }) => name), ["bin"]);
    return JSON.parse(new TextDecoder().decode(stdout));
  });
}

const needed = { read: true, write: true, run: true } as const;
const advice =
  "on Debian and Ubuntu, ./denow installs it for root, and others run 'sudo apt-get install python3-venv'";

testNeeding(needed, "pythonEnvironment() says how to install Debian's separate venv", async () => {
  const debian = `echo "The virtual environment was not created successfully because ensurepip is not
available.  On Debian/Ubuntu systems, you need to install the python3-venv
package using the following command.

    apt install python3.13-venv

Failing command: /some/bin/python3"; exit 1`;
  assert.deepEqual(await environmentWith(debian), {
    reason: `python3 cannot make virtual environments (${advice})`,
  });
  assert.deepEqual(await environmentWith(), { reason: `there is no python3 (${advice})` });
});

testNeeding(needed, "pythonEnvironment() gives Python's reason, from stdout or stderr", async () => {
  for (const redirection of ["", " >&2"]) {
    assert.deepEqual(await environmentWith(`{ echo first; echo the disk is full; }${redirection}; exit 1`), {
      reason: "python3 -m venv failed: the disk is full",
    });
  }
  const pip = `case "$*" in *pip*) echo "no network" >&2; exit 1 ;; esac`;
  assert.deepEqual(await environmentWith(pip), { reason: "pip install failed: no network" });
});

testNeeding(
  needed,
  "pythonEnvironment() is built once if several programs want it at the same time",
  async () => {
    await withFolder(async (folder) => {
      const bin = join(folder, "bin");
      await Deno.mkdir(bin);
      // Its third argument is the environment to make; pip has nothing to do.
      const python3 = `#!/bin/sh
case "$*" in
  *pip*) ;;
  *) echo "$3" >>"${folder}/made"; /bin/sleep 0.3; /bin/mkdir -p "$3/bin"; : >"$3/bin/python" ;;
esac
`;
      await Deno.writeTextFile(join(bin, "python3"), python3, { mode: 0o755 });
      const place = join(folder, "places", "one");
      const program = `import { pythonEnvironment } from ${module};
      console.log(JSON.stringify(await pythonEnvironment(${JSON.stringify(place)}, ["some==1"])));`;
      const outputs = await Promise.all([1, 2, 3].map(() =>
        new Deno.Command(Deno.execPath(), {
          args: ["eval", program],
          env: { PATH: bin, NO_COLOR: "1" },
        }).output()
      ));
      for (const { stdout, stderr } of outputs) {
        const said = new TextDecoder().decode(stdout);
        assert.equal(
          said,
          `${JSON.stringify(join(place, "bin", "python"))}\n`,
          new TextDecoder().decode(stderr),
        );
      }
      assert.equal((await Deno.readTextFile(join(folder, "made"))).trim().split("\n").length, 1);
    });
  },
);

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
