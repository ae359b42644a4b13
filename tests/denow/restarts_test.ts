/** `denow` restarts a training whose process died. */

import assert from "node:assert/strict";
import { testNeeding, testUnless } from "../permissions.ts";
import { Machine } from "./machine.ts";

/**
 * Stand-in for Deno: it logs its arguments, then acts as TURN1, TURN2 and so on request, as a task would: `end` and
 * `refuse` remove the note, `die` leaves a run behind, `early` none, `hang` waits to be killed.
 */
const deno = `
case "$1" in --version) echo "deno 2.9.6"; exit 0 ;; eval) exit 0 ;; esac
echo "$*\${DENOW_NOTE:+, noting}" >>"$CALLS"
turn=0
while read -r _; do turn=$((turn + 1)); done <"$CALLS"
eval "act=\\$TURN$turn"
case $act in
  end) rm "$DENOW_NOTE" ;;
  refuse) rm "$DENOW_NOTE"; exit 1 ;;
  early) exit 1 ;;
  die) echo "\${turn}0 runs/x y" >"$DENOW_NOTE"; exit 1 ;;
  crash) echo "\${turn}0 runs/x y" >"$DENOW_NOTE"; kill -s SEGV $$ ;;
  hang) echo "\${turn}0 runs/x y" >"$DENOW_NOTE"; while :; do sleep 1; done ;;
esac`;

/** A command line, the action of each process, and the expected result. */
interface Row {
  readonly args: string;
  readonly turns: string;
  readonly code: number;
  /** Arguments of each process. */
  readonly calls: readonly string[];
  /** Lines on the error stream, by words in order; by default none. */
  readonly says?: readonly RegExp[];
}

const resumed = "task -q train:base --resume runs/x y --restarts 2, noting";
const first = "task -q train:base --lr 0.1 --restarts 2, noting";
const args = "task train:base --lr 0.1 --restarts 2";
const rows: Readonly<Record<string, Row>> = {
  "resumes a run until it ends": {
    ...{ args, turns: "die crash end", code: 0, calls: [first, resumed, resumed] },
    says: [
      /^denow: runs\/x y died \(exit code 1\): restart 1 of 2, from step 10$/,
      /139.* 2 of 2, from step 20$/,
    ],
  },
  "gives up after N restarts, with the last exit code": {
    ...{ args, turns: "die die crash", code: 139, calls: [first, resumed, resumed] },
    says: [
      /restart 1/,
      /restart 2/,
      /died again \(exit code 139\).*--resume runs\/x y continues from step 30$/,
    ],
  },
  "does not restart after an error of the user": { args, turns: "refuse", code: 1, calls: [first] },
  "does not restart a process that died before there was a run": {
    args,
    turns: "early",
    code: 1,
    calls: [first],
  },
  "repeats a command that resumes": {
    ...{ args: "task train --resume a --lr=2 --restarts=1", turns: "die end", code: 0 },
    calls: Array(2).fill("task -q train --resume a --lr=2 --restarts=1, noting"),
    says: [/restart 1 of 1/],
  },
  "keeps the server that a run is sent to": {
    ...{
      args: "task train --mlflow http://m --out a --restarts 1",
      turns: "die end",
      code: 0,
      says: [/restart 1 of 1/],
    },
    calls: [
      "task -q train --mlflow http://m --out a --restarts 1, noting",
      "task -q train --mlflow http://m --resume runs/x y --restarts 1, noting",
    ],
  },
  "resumes a distillation without its teacher": {
    ...{ args: "task distill runs/t --restarts 1", turns: "die end", code: 0, says: [/restart 1 of 1/] },
    calls: [
      "task -q distill runs/t --restarts 1, noting",
      "task -q distill --resume runs/x y --restarts 1, noting",
    ],
  },
  ...Object.fromEntries(
    [
      "task train --restarts 0",
      "task train --restarts x",
      "task train",
      "task sample --restarts 2",
      "run --restarts 2 train",
    ]
      .map((
        args,
      ) => [`passes "${args}" on`, { args, turns: "", code: 0, calls: [args.replace("task", "task -q")] }]),
  ),
};

const needs = { read: true, write: true, run: true, env: true } as const;
const test = (name: string, run: () => void | Promise<void>) =>
  Deno.build.os === "windows" ? testUnless("needs a POSIX shell", name, run) : testNeeding(needs, name, run);

/** The variables with the action of each process. */
const turnsOf = (turns: string) =>
  Object.fromEntries(turns.split(" ").map((act, i) => [`TURN${i + 1}`, act]));

for (const [what, { args, turns, code, calls, says = [] }] of Object.entries(rows)) {
  test(`denow --restarts ${what}`, () => {
    const machine = new Machine({ deno });
    try {
      const ended = machine.denow(args.split(" "), { env: turnsOf(turns) });
      assert.deepEqual(ended.calls, calls, ended.err);
      assert.equal(ended.code, code, ended.err);
      const lines = ended.err.split("\n").filter((line) => line.startsWith("denow:"));
      assert.equal(lines.length, says.length, ended.err);
      says.forEach((words, i) => assert.match(lines[i], words));
      if (machine.exists("the project/runs")) {
        assert.deepEqual([...Deno.readDirSync(`${machine.project}/runs`)], []);
      }
    } finally {
      Deno.removeSync(machine.folder, { recursive: true });
    }
  });
}

test("denow --restarts passes SIGTERM on, and starts nothing after it", async () => {
  const machine = new Machine({ deno });
  try {
    const process = machine.start(args.split(" "), { env: turnsOf("hang end") });
    const runs = `${machine.project}/runs`;
    const isNoted = () =>
      machine.exists("the project/runs") &&
      [...Deno.readDirSync(runs)].some(({ name }) => Deno.statSync(`${runs}/${name}`).size > 0);
    while (!isNoted()) await new Promise((resolve) => setTimeout(resolve, 5));
    process.kill("SIGTERM");
    const { code, stderr } = await process.output();
    assert.equal(code, 143, new TextDecoder().decode(stderr));
    assert.equal(Deno.readTextFileSync(machine.calls), `${first}\n`);
  } finally {
    Deno.removeSync(machine.folder, { recursive: true });
  }
});
