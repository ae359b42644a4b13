/** `denow` finds or installs what MLflow and JupyterLab need: a Python that makes virtual environments. */

import assert from "node:assert/strict";
import { deno, tells, test } from "./machine.ts";

/** Python without Debian's python3-venv, until it is installed. */
const bare = `[ -e "$DENOW_ROOT/ensurepip" ]`;
const aptVenv = tells("apt-get", `case "$*" in *python3-venv) : >"$DENOW_ROOT/ensurepip" ;; esac`);

for (
  const args of [["task", "test"], ["task", "ok"], ["task", "mlflow"], ["task", "notebook", "--execute"]]
) {
  test(
    `installs python3-venv for ${args.join(" ")}, once`,
    { deno: deno("2.9.6"), python3: bare, "apt-get": aptVenv },
    undefined,
    (machine) => {
      const { code, err, calls } = machine.denow(args);
      assert.deepEqual([code, err], [
        0,
        "denow: No Python that makes virtual environments: installing python3-venv",
      ]);
      assert.deepEqual(calls, [
        "apt-get -y -o DPkg::Lock::Timeout=60 install --no-install-recommends python3-venv",
      ]);
      const again = machine.denow(args);
      assert.deepEqual([again.err, again.calls], ["", []]);
    },
  );
}

test(
  "installs no Python for other tasks",
  { deno: deno("2.9.6"), python3: bare, "apt-get": aptVenv },
  undefined,
  (machine) => {
    for (const args of [["task", "train:residual"], ["run", "x.ts"], ["check"]]) {
      const { err, calls } = machine.denow(args);
      assert.deepEqual([err, calls], ["", []], args.join(" "));
    }
  },
);

test(
  "says which command brings python3-venv to who may not install it",
  { deno: deno("2.9.6"), id: "echo 1000", python3: bare, "apt-get": aptVenv },
  undefined,
  (machine) => {
    const { code, err, calls } = machine.denow(["task", "mlflow"]);
    assert.deepEqual([code, calls], [0, []]);
    assert.equal(
      err,
      "denow: No Python that makes virtual environments: for MLflow and the notebooks, " +
        "as root run 'apt-get install python3-venv'. Going on without it",
    );
  },
);

test(
  "goes on where apt-get brings no python3-venv, and does not try again at once",
  { deno: deno("2.9.6"), python3: bare, "apt-get": tells("apt-get", "echo cannot resolve >&2; exit 100") },
  undefined,
  (machine) => {
    const first = machine.denow(["task", "mlflow"]);
    assert.deepEqual([first.code, first.calls.length], [0, 2]);
    assert.match(first.err, /even after apt-get.*Going on without it\ncannot resolve/s);
    const second = machine.denow(["task", "mlflow"]);
    assert.deepEqual([second.code, second.calls], [0, []]);
    assert.match(second.err, /apt-get failed within the last hour/);
  },
);
