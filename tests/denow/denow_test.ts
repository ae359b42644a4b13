/** `denow` finds or installs Deno, and passes everything on to it. */

import assert from "node:assert/strict";
import { deno, type First, logs, npm, python, type Step, testRows } from "./machine.ts";

const takes = (version: string, step: First = {}): First => {
  return { out: `<run> ${version} in PROJECT, driver <>`, ...step };
};
/** Puts a Deno somewhere, identified by its version. */
const finds = (place: string, version: string, env: Record<string, string> = {}): Step =>
  takes(version, { env, setup: (machine) => machine.command(`${place}/deno`, deno(version)) });
const home = { HOME: "FOLDER/home" };

testRows("passes everything on to the first Deno that is new enough", {
  "any argument": [{ args: ["run", "a b", "", "*"] }],
  "its exit status": [takes("2.9.6", { commands: { deno: `${deno("2.9.6")}; exit 7` }, code: 7 })],
  "newer versions": ["2.9.0", "2.10.1", "3.0.0-rc.1", "2.9.6+a1b2c3d"].map((version) =>
    finds("bin", version)
  ) as [Step],
  // Each place takes precedence over those above it.
  "where installers put it": [
    { ...finds("the project/node_modules/.bin", "2.9.0"), commands: { deno: "" } },
    finds("root/opt/homebrew/bin", "2.9.1"),
    finds("root/usr/local/bin", "2.9.2"),
    finds("home/.local/bin", "2.9.3", home),
    finds("home/.deno/bin", "2.9.4", home),
    finds("installed/bin", "2.9.5", { ...home, DENO_INSTALL: "FOLDER/installed" }),
  ],
  "not one that is too old or does not run": [
    takes("2.9.0", {
      commands: {
        deno: deno("2.8.3"),
        "root/usr/local/bin/deno": "exit 127",
        "root/opt/homebrew/bin/deno": deno("2.9.0"),
      },
    }),
    takes("2.9.0"),
  ],
  "the program behind npm's script": [{
    commands: {
      deno: "",
      "the project/node_modules/deno/bin.cjs": "exit 1",
      "the project/node_modules/@deno/linux-x64-glibc/deno": deno("2.9.6"),
    },
    setup({ project }) {
      Deno.mkdirSync(`${project}/node_modules/.bin`);
      Deno.symlinkSync("../deno/bin.cjs", `${project}/node_modules/.bin/deno`);
    },
  }],
  "not itself": [{
    commands: { deno: "" },
    setup: ({ project, folder }) => Deno.symlinkSync(`${project}/denow`, `${folder}/bin/deno`),
    code: 1,
    err: /^[^\n]+\n[^\n]+$/,
  }],
});

const outside = { cwd: "FOLDER/outside", program: "FOLDER/outside/link" };
const there = (words: string) => `<task><-q>${words} 2.9.6 in FOLDER/outside, driver <>`;

testRows("starts a task of the project from any folder", {
  "through a link": [
    {
      setup: ({ folder }) => Deno.symlinkSync("../the project/denow", `${folder}/outside/link`),
      ...outside,
      args: ["task", "runs", "-c"],
      out: there("<--cwd><PROJECT><runs><-c>"),
    },
    { ...outside, args: ["task", "--cwd", "y", "x"], out: there("<--cwd><y><x>") },
    { ...outside, args: ["task", "-q", "--config=z", "x"], out: there("<-q><--config=z><x>") },
    {
      ...outside,
      cwd: "PROJECT/inner",
      args: ["task", "runs"],
      out: "<task><-q><runs> 2.9.6 in PROJECT/inner, driver <>",
    },
  ],
});

const list =
  "<run><-q><--no-config><--allow-read=PROJECT><--lock=PROJECT/deno.lock><PROJECT/experiments/tasks.ts>";

testRows("lists the tasks", {
  "if none is named": [{ args: ["task"], out: `${list} 2.9.6 in PROJECT, driver <>` }],
  "if there is none of that name": [
    { args: ["task", "smaple", "x"], out: `${list}<smaple><x> 2.9.6 in PROJECT, driver <>` },
    { args: ["task", "train"] },
  ],
});

const wayOut = /Install Deno 2\.9 or newer \(docs\.deno\.com\), then run this again$/;

testRows("installs Deno if it must", {
  "with npm, once": [
    {
      commands: { deno: deno("1.46.3"), npm: npm(), python3: python },
      err: /^denow: Cannot find Deno 2\.9 .*bin\/deno is older\): installing 2\.9\.6 below \.cache with npm$/,
      calls: [/^npm install --prefix .*the project\/\.cache\/deno\/.* deno@2\.9\.6$/],
    },
    {
      after({ project }) {
        const left = [...Deno.readDirSync(`${project}/.cache/deno`)].map(({ name }) => name).sort();
        assert.deepEqual(left, ["2.9.6", "install.log"], "only the program and the log stay");
      },
    },
  ],
  "with pip without npm": [{
    commands: { deno: "", python3: python },
    err: /with pip$/,
    calls: [/^python3/, /^python3 -I -m pip install .*deno==2\.9\.6 --target .*the project\/\.cache\/deno/],
  }],
  "with pip3 if Python lacks pip": [{
    commands: { deno: "", python3: logs("python3", "exit 1"), pip3: python.replaceAll("python3", "pip3") },
    err: /with pip$/,
    calls: [/^python3/, /^pip3 install/],
  }],
  "with pip if npm fails, with npm's words": [{
    commands: { deno: "", npm: "echo no such host; exit 1", python3: python },
    err: /npm could not install Deno.*\nno such host\n.*with pip$/,
    calls: [/^python3/, /^python3 -I -m pip install/],
  }],
  "but never half of it": [{
    commands: { deno: "", npm: npm().replace("deno 2.9.6 (", "segmentation fault (") },
    code: 1,
    err: wayOut,
    calls: [/^npm install/],
    after: (machine) => assert.ok(!machine.exists("the project/.cache/deno/2.9.6/deno")),
  }],
  "unless nothing can install it": [{
    commands: { deno: "" },
    code: 1,
    err: /nor npm or Python's pip to install it with\ndenow: Install Deno .* then run this again$/,
  }],
  "unless DENOW_NO_INSTALL=1": [{
    commands: { deno: "", npm: npm() },
    env: { DENOW_NO_INSTALL: "1" },
    code: 1,
    err: /DENOW_NO_INSTALL/,
  }],
});
