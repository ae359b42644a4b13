/** `denow` finds Deno, or installs it, and hands everything on. */

import assert from "node:assert/strict";
import { apart, deno, npm, python, tells, test } from "./machine.ts";

test("is quiet and hands everything on when all is there", { deno: deno("2.9.6") }, undefined, (machine) => {
  const { code, out, err } = machine.denow(["run", "a b", "", "*"]);
  assert.deepEqual([code, out, err], [0, `<run><a b><><*> 2.9.6 ${apart(machine)}`, ""]);
});

test("passes Deno's exit status on", { deno: `${deno("2.9.6")}; exit 7` }, undefined, (machine) => {
  assert.equal(machine.denow(["run"]).code, 7);
});

test("takes newer versions for new enough", { deno: "" }, undefined, (machine) => {
  for (const version of ["2.9.0", "2.10.1", "3.0.0-rc.1", "2.9.6+a1b2c3d"]) {
    machine.command("bin/deno", deno(version));
    const { out, err } = machine.denow(["run"]);
    assert.deepEqual([out, err], [`<run> ${version} ${apart(machine)}`, ""]);
  }
});

test("finds Deno where installers put it", {}, undefined, (machine) => {
  const places: [string, Record<string, string>][] = [
    ["the project/node_modules/.bin", {}],
    ["root/opt/homebrew/bin", {}],
    ["root/usr/local/bin", {}],
    ["home/.local/bin", { HOME: `${machine.folder}/home` }],
    ["home/.deno/bin", { HOME: `${machine.folder}/home` }],
    ["installed/bin", { HOME: `${machine.folder}/home`, DENO_INSTALL: `${machine.folder}/installed` }],
  ];
  // Each goes before the ones above it.
  for (const [index, [place, env]] of places.entries()) {
    machine.command(`${place}/deno`, deno(`2.9.${index}`));
    assert.match(machine.denow(["run"], { env }).out, new RegExp(` 2\\.9\\.${index} `), place);
  }
});

test("runs the program behind npm's script", {}, undefined, (machine) => {
  const modules = "the project/node_modules";
  machine.command(`${modules}/deno/bin.cjs`, "exit 1");
  machine.command(`${modules}/@deno/linux-x64-glibc/deno`, deno("2.9.6"));
  Deno.mkdirSync(`${machine.folder}/${modules}/.bin`);
  Deno.symlinkSync("../deno/bin.cjs", `${machine.folder}/${modules}/.bin/deno`);
  assert.equal(machine.denow(["run"]).out, `<run> 2.9.6 ${apart(machine)}`);
});

test("is not its own Deno", {}, undefined, (machine) => {
  Deno.symlinkSync(`${machine.project}/denow`, `${machine.folder}/bin/deno`);
  const { code, err } = machine.denow(["run"]);
  assert.deepEqual([code, err.split("\n").length], [1, 2]);
});

test("passes over a Deno that is too old or does not run", { deno: deno("2.8.3") }, undefined, (machine) => {
  machine.command("root/usr/local/bin/deno", "exit 127");
  machine.command("root/opt/homebrew/bin/deno", deno("2.9.0"));
  assert.match(machine.denow(["run"]).out, / 2\.9\.0 /);
  assert.match(machine.denow(["run"]).out, / 2\.9\.0 /);
});

test(
  "installs Deno with npm, once",
  { deno: deno("1.46.3"), npm: npm(), python3: python },
  undefined,
  (machine) => {
    const first = machine.denow(["run"]);
    assert.equal(first.out, `<run> 2.9.6 ${apart(machine)}`);
    assert.match(
      first.err,
      /^denow: No Deno 2\.9 .*bin\/deno is older\): installing 2\.9\.6 below \.cache with npm$/,
    );
    assert.equal(first.calls.length, 1);
    assert.match(first.calls[0], /^npm install --prefix .*the project\/\.cache\/deno\/.* deno@2\.9\.6$/);
    const second = machine.denow(["run"]);
    assert.deepEqual([second.out, second.err], [first.out, ""]);
    // Nothing but the program, and the log, stays.
    const left = [...Deno.readDirSync(`${machine.project}/.cache/deno`)].map(({ name }) => name).sort();
    assert.deepEqual(left, ["2.9.6", "install.log"]);
  },
);

test("installs Deno with pip where there is no npm", { python3: python }, undefined, (machine) => {
  const { out, err, calls } = machine.denow(["run"]);
  assert.equal(out, `<run> 2.9.6 ${apart(machine)}`);
  assert.match(err, /with pip$/);
  assert.match(calls[1], /^python3 -m pip install .*deno==2\.9\.6 --target .*the project\/\.cache\/deno/);
});

test(
  "installs Deno with pip3 where Python lacks pip",
  {
    python3: tells("python3", "exit 1"),
    pip3: python.replaceAll("python3", "pip3"),
  },
  undefined,
  (machine) => {
    assert.equal(machine.denow(["run"]).out, `<run> 2.9.6 ${apart(machine)}`);
  },
);

test(
  "goes on to pip where npm fails, with npm's words",
  {
    npm: "echo no such host; exit 1",
    python3: python,
  },
  undefined,
  (machine) => {
    const { out, err } = machine.denow(["run"]);
    assert.equal(out, `<run> 2.9.6 ${apart(machine)}`);
    assert.match(err, /npm could not install Deno.*\nno such host\n.*with pip$/);
  },
);

test(
  "uses no half install",
  {
    npm: npm().replace("deno 2.9.6 (", "segmentation fault ("),
  },
  undefined,
  (machine) => {
    const { code, out, err } = machine.denow(["run"]);
    assert.deepEqual([code, out], [1, ""]);
    assert.match(err, /Install Deno 2\.9 or newer \(docs\.deno\.com\), then run this again$/);
    assert.ok(!machine.exists("the project/.cache/deno/2.9.6/deno"));
  },
);

test("stops with a way out where nothing can install Deno", {}, undefined, (machine) => {
  const { code, out, err } = machine.denow(["run"]);
  assert.deepEqual([code, out], [1, ""]);
  assert.match(
    err,
    /neither npm nor Python's pip to install it with\ndenow: Install Deno .* then run this again$/,
  );
});

test("installs no Deno if DENOW_NO_INSTALL=1", { npm: npm() }, undefined, (machine) => {
  const { code, err, calls } = machine.denow(["run"], { env: { DENOW_NO_INSTALL: "1" } });
  assert.deepEqual([code, calls], [1, []]);
  assert.match(err, /DENOW_NO_INSTALL/);
});

test("starts a task of the project from any folder", { deno: deno("2.9.6") }, undefined, (machine) => {
  Deno.symlinkSync("../the project/denow", `${machine.folder}/outside/link`);
  const program = `${machine.folder}/outside/link`;
  const inside = machine.denow(["task", "x"], { cwd: "the project/inner", program });
  assert.equal(inside.out, `<task><x> 2.9.6 in ${machine.project}/inner, driver <>`);
  const task = (...args: string[]) =>
    machine.denow(["task", ...args], { cwd: "outside", program }).out.split(" 2.9")[0];
  assert.equal(task("x", "-c"), `<task><--cwd><${machine.project}><x><-c>`);
  assert.equal(task("--cwd", "y", "x"), "<task><--cwd><y><x>");
  assert.equal(task("-q", "--config=z", "x"), "<task><-q><--config=z><x>");
});
