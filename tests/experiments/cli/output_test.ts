import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import {
  ProgressBar,
  stageProgress,
  type Terminal,
  textTable,
  type Workload,
} from "../../../experiments/cli/output.ts";
import { testTask } from "../cli.ts";

const lines = (rows: readonly (readonly string[])[], width: number) =>
  textTable(rows, (column) => column > 0 && column < 4, width).split("\n");

Deno.test("textTable() aligns columns, and repeats the first one in parts that fit the width", () => {
  const rows = [["figure", "value", "real", "seconds"], ["Fréchet distance", "6.2", "4.5", "12"]];
  assert.deepEqual(lines(rows, 42), [
    "  figure            value  real  seconds",
    "  Fréchet distance    6.2   4.5       12",
  ]);
  assert.deepEqual(lines(rows, 39), [
    "  figure            value  real",
    "  Fréchet distance    6.2   4.5",
    "",
    "  figure            seconds",
    "  Fréchet distance       12",
  ]);
});

Deno.test("textTable() wraps long text at words, and cuts long words", () => {
  const row = ["a", "1", "2", "3", "heun 0.123, dopri5 0.25, " + "x".repeat(20)];
  assert.deepEqual(lines([row], 34), [
    "  a  1  2  3  heun 0.123, dopri5",
    "              0.25,",
    "              xxxxxxxxxxxxxxxxxxxx",
  ]);
  assert.deepEqual(lines([["runs/" + "y".repeat(40), "z".repeat(50)]], 60), [
    `  runs/${"y".repeat(23)}  ${"z".repeat(28)}`,
    `  ${"y".repeat(17)}${" ".repeat(11 + 2 + 6)}${"z".repeat(22)}`,
  ]);
  assert.deepEqual(
    lines([["y".repeat(40), "1"]], 60),
    [`  ${"y".repeat(40)}  1`],
    "no wrap where there is room",
  );
  assert.deepEqual(textTable([]), "");
});

testTask("runs into a full disk ends with one line and exit code 1", async ({ path }) => {
  const script = fileURLToPath(new URL("../../../experiments/runs.ts", import.meta.url));
  const { code, stderr } = await new Deno.Command("sh", {
    args: ["-c", '"$0" run -q --allow-read "$1" > /dev/full', Deno.execPath(), script],
    cwd: path,
    stderr: "piped",
  }).output();
  const says = "RunError: Cannot print the result: no space is left on the disk\n";
  assert.deepEqual([code, new TextDecoder().decode(stderr)], [1, says]);
}, Deno.build.os === "linux" ? undefined : "needs /dev/full");

/** A bar on a terminal that records its output, with a clock set by the test. */
function barOn(terminal: { isTerminal: boolean; columns: number }, work: Partial<Workload> = {}) {
  const written: string[] = [];
  const clock = { ms: 5000 };
  const recorder: Terminal = {
    isTerminal: terminal.isTerminal,
    columns: () => terminal.columns,
    write: (text) => void written.push(text),
  };
  const bar = new ProgressBar({ totalSteps: 100, imagesPerStep: 64, ...work }, recorder, () => clock.ms);
  return { bar, clock, written };
}

const screen = { isTerminal: true, columns: 100 };

Deno.test("ProgressBar redraws a terminal 10 times a second, and adds a line every 10 seconds elsewhere", () => {
  const { bar, clock, written } = barOn(screen);
  for (let step = 1; step <= 100; step++) {
    clock.ms += 10;
    bar.update(step, 0.5);
  }
  assert.equal(written.length, 10);
  assert(written.every((text) => text.startsWith("\r") && text.endsWith("\x1b[K") && !text.includes("\n")));
  const piped = barOn({ isTerminal: false, columns: 80 });
  for (let step = 1; step <= 25; step++) {
    piped.clock.ms += 1000;
    piped.bar.update(step, 0.5);
  }
  piped.bar.clear();
  piped.bar.finish();
  assert.deepEqual(piped.written, [
    " 10/100  64.0 images/s  loss 0.5000  0:10 elapsed  1:30 left\n",
    " 20/100  64.0 images/s  loss 0.5000  0:20 elapsed  1:20 left\n",
    " 25/100  64.0 images/s  loss 0.5000  0:25 elapsed  1:15 left\n",
  ]);
});

Deno.test("ProgressBar shows steps, rate, loss, elapsed time and time left", () => {
  const first = `${"█".repeat(9)}${
    "░".repeat(29)
  }  25/100  33.1 images/s  loss 0.0400  0:50 elapsed  2:30 left`;
  const cases: [
    work: Partial<Workload>,
    updates: [ms: number, step: number, loss?: number][],
    line: string,
  ][] = [
    [{}, [[25_000, 12, 0.1], [25_000, 25, 0.04]], first],
    [{}, [[1000, 1, 0.25], [1000, 2]], "2/100  64.0 images/s  loss 0.2500  0:02 elapsed  1:38 left"],
    [{ startStep: 90 }, [[1000, 91]], "91/100  64.0 images/s  0:01 elapsed  0:09 left"],
    [{ totalSteps: 0 }, [[60_000, 60]], `${"░".repeat(40)} 60 steps  64.0 images/s  1:00 elapsed`],
    [{}, [[1000, 1, NaN]], "1/100  64.0 images/s  loss NaN  0:01 elapsed  1:39 left"],
    [
      { totalSteps: 10_000, unit: "pairs" },
      [[7322e3, 7322]],
      "7322/10000  64.0 pairs/s  2:02:02 elapsed  44:38 left",
    ],
  ];
  for (const [work, updates, line] of cases) {
    const { bar, clock, written } = barOn(screen, work);
    for (const [ms, step, loss] of updates) {
      clock.ms += ms;
      bar.update(step, loss);
    }
    assert.ok(written.at(-1)!.endsWith(line + "\x1b[K"), `${written.at(-1)} is not ${line}`);
  }
});

Deno.test("ProgressBar fits the terminal, or 80 columns if their number is unknown", () => {
  const lengths = [0, 1, 20, 60, 80, 200].map((columns) => {
    const { bar, clock, written } = barOn({ isTerminal: true, columns });
    clock.ms += 1000;
    bar.update(50);
    return written[0].length - "\r\x1b[K".length;
  });
  const whole = 40 + " 50/100  3200 images/s  0:01 elapsed  0:01 left".length + 1;
  assert.deepEqual(lengths, [79, 0, 19, 59, 79, whole]);
});

Deno.test("ProgressBar smooths the rate over about 10 seconds, without the time of other work", () => {
  const { bar, clock, written } = barOn(screen, { totalSteps: 1000 });
  const shown = (pattern: RegExp) => pattern.exec(written.at(-1)!)!.slice(1).map(Number);
  const rate = () => shown(/([\d.]+) images\/s/)[0];
  const run = (stepMs: number, from: number, to: number) => {
    for (let step = from; step < to; step++) {
      clock.ms += stepMs;
      bar.update(step + 1);
    }
  };
  run(1000, 0, 100);
  assert.equal(rate(), 64);
  clock.ms += 60_000;
  bar.skipTime();
  run(1000, 100, 200);
  assert.equal(rate(), 64);
  const left = () => shown(/(\d+):(\d+) left/).reduce((sum, part) => 60 * sum + part);
  assert.equal(left(), 800);
  clock.ms += 20_000; // a validation
  bar.update(201);
  assert.equal(left(), Math.round(799 * 220 / 201), "does not jump");
  run(1000, 201, 301);
  run(500, 301, 321);
  assert(Math.abs(rate() - (128 - 64 * Math.exp(-1))) < 2, `${rate()}`);
});

Deno.test("ProgressBar.clear() empties the line until the next update; its end is drawn once, even after an error", () => {
  const { bar, clock, written } = barOn(screen);
  bar.clear();
  assert.deepEqual(written, []);
  bar.update(1);
  bar.clear();
  bar.clear();
  assert.deepEqual(written.splice(0).slice(1), ["\r\x1b[K"]);
  clock.ms += 100;
  assert.throws(() => {
    using running = bar;
    running.update(99);
    clock.ms += 10;
    running.update(100);
    running.finish();
    throw new RangeError("failed");
  }, RangeError);
  assert.equal(written.length, 3);
  assert.match(written[1], /^\r█+ 100\/100 .* 0:00 left/);
  assert.equal(written[2], "\n");
});

Deno.test("stageProgress() shows a stage that takes a while, then clears the line", () => {
  const shown = (isTerminal: boolean, stepMs: number) => {
    let text = "", ms = 0;
    const terminal = { isTerminal, columns: () => 20, write: (more: string) => void (text += more) };
    const stage = stageProgress("tuning", terminal, () => ms);
    for (let done = 1; done <= 3; done++) {
      ms += stepMs;
      stage.update(done, 3);
    }
    stage.end();
    return text;
  };
  assert.equal(shown(true, 600), "\r█████░░░ tuning 2/3\x1b[K\r████████ tuning 3/3\x1b[K\r\x1b[K");
  assert.equal(shown(false, 600), "tuning: 3 to go\n");
  assert.equal(shown(true, 10) + shown(false, 10), "");
});
