import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import {
  brokenBetweenWords,
  ProgressBar,
  stageProgress,
  textTable,
  type Workload,
} from "../../../experiments/cli/output.ts";
import { testTask } from "../cli.ts";

Deno.test("textTable() aligns columns, wraps text, and shows in parts what does not fit", () => {
  const rows = [["figure", "value", "real", "seconds"], ["Fréchet distance", "6.2", "4.5", "12"]];
  const text = ["a", "1", "2", "3", "heun 0.123, dopri5 0.25, " + "x".repeat(20)];
  const cases: [rows: readonly (readonly string[])[], width: number, lines: string[]][] = [
    [rows, 42, ["  figure            value  real  seconds", "  Fréchet distance    6.2   4.5       12"]],
    [rows, 39, [
      ...["  figure            value  real", "  Fréchet distance    6.2   4.5", ""],
      ...["  figure            seconds", "  Fréchet distance       12"],
    ]],
    [[text], 34, [
      "  a  1  2  3  heun 0.123, dopri5",
      "              0.25,",
      `              ${"x".repeat(20)}`,
    ]],
    [[["runs/" + "y".repeat(40), "z".repeat(50)]], 60, [
      `  runs/${"y".repeat(23)}  ${"z".repeat(28)}`,
      `  ${"y".repeat(17)}${" ".repeat(11 + 2 + 6)}${"z".repeat(22)}`,
    ]],
    [[["a ".repeat(10) + "a", "1", "2", "3", "b ".repeat(12) + "b"]], 55, [ // the widest is narrowed
      `  ${"a ".repeat(10)}a  1  2  3  ${"b ".repeat(10)}b`,
      `${" ".repeat(34)}b b`,
    ]],
    [[["y".repeat(40), "1"]], 60, [`  ${"y".repeat(40)}  1`]], // no wrap where there is room
    [[], 80, [""]],
  ];
  for (const [rows, width, lines] of cases) {
    const table = textTable(rows, (column) => column > 0 && column < 4, width);
    assert.deepEqual(table.split("\n"), lines);
  }
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

Deno.test("brokenBetweenWords() leaves words that are longer than a line to the terminal", () => {
  assert.equal(brokenBetweenWords("one two three", 8), "one two\nthree");
  assert.equal(brokenBetweenWords("one two", 7), "one two");
  assert.equal(brokenBetweenWords("open /a/very/long/path now", 8), "open\n/a/very/long/path\nnow");
});

/** A bar on a terminal that records its output, with a clock set by the test. */
function barOn(isTerminal: boolean, work: Partial<Workload> = {}, columns = 100) {
  const written: string[] = [];
  const clock = { ms: 5000 };
  const terminal = { isTerminal, columns: () => columns, write: (text: string) => void written.push(text) };
  const bar = new ProgressBar({ totalSteps: 100, imagesPerStep: 64, ...work }, terminal, () => clock.ms);
  const update = (ms: number, step: number, loss?: number) => {
    clock.ms += ms;
    bar.update(step, loss);
  };
  return { bar, clock, written, update };
}

Deno.test("ProgressBar redraws a terminal 10 times a second, and adds a line every 10 seconds elsewhere", () => {
  const { update, written } = barOn(true);
  for (let step = 1; step <= 100; step++) update(10, step, 0.5);
  assert.equal(written.length, 10);
  assert(written.every((text) => text.startsWith("\r") && text.endsWith("\x1b[K") && !text.includes("\n")));
  const piped = barOn(false);
  for (let step = 1; step <= 25; step++) piped.update(1000, step, 0.5);
  piped.bar.clear();
  piped.bar.finish();
  assert.deepEqual(piped.written, [
    " 10/100  64.0 images/s  loss 0.5000  0:10 elapsed  1:30 left\n",
    " 20/100  64.0 images/s  loss 0.5000  0:20 elapsed  1:20 left\n",
    " 25/100  64.0 images/s  loss 0.5000  0:25 elapsed  1:15 left\n",
  ]);
});

Deno.test("ProgressBar shows steps, rate, loss, elapsed time and time left", () => {
  const bar = "█".repeat(9) + "░".repeat(29);
  const cases: [Partial<Workload>, updates: [ms: number, step: number, loss?: number][], line: string][] = [
    [
      ...[{}, [[25_000, 12, 0.1], [25_000, 25, 0.04]]] as [object, [number, number, number][]],
      `${bar}  25/100  33.1 images/s  loss 0.0400  0:50 elapsed  2:30 left`,
    ],
    [{}, [[1000, 1, 0.25], [1000, 2]], "2/100  64.0 images/s  loss 0.2500  0:02 elapsed  1:38 left"],
    [{ startStep: 90 }, [[1000, 91]], "91/100  64.0 images/s  0:01 elapsed  0:09 left"],
    [{ totalSteps: 0 }, [[60_000, 60]], `${"░".repeat(40)} 60 steps  64.0 images/s  1:00 elapsed`],
    [{}, [[1000, 1, NaN]], "1/100  64.0 images/s  loss NaN  0:01 elapsed  1:39 left"],
    [{ totalSteps: 10_000, unit: "pairs" }, [[7322e3, 7322]], " 64.0 pairs/s  2:02:02 elapsed  44:38 left"],
  ];
  for (const [work, updates, line] of cases) {
    const { update, written } = barOn(true, work);
    for (const each of updates) update(...each);
    assert.ok(written.at(-1)!.endsWith(line + "\x1b[K"), `${written.at(-1)} is not ${line}`);
  }
  const lengths = [0, 1, 20, 60, 80, 200].map((columns) => { // 80 columns if their number is unknown
    const { update, written } = barOn(true, {}, columns);
    update(1000, 50);
    return written[0].length - "\r\x1b[K".length;
  });
  const whole = 40 + " 50/100  3200 images/s  0:01 elapsed  0:01 left".length + 1;
  assert.deepEqual(lengths, [79, 0, 19, 59, 79, whole]);
});

Deno.test("ProgressBar smooths the rate over about 10 seconds, without the time of other work", () => {
  const { bar, clock, written, update } = barOn(true, { totalSteps: 1000 });
  const shown = (pattern: RegExp) => pattern.exec(written.at(-1)!)!.slice(1).map(Number);
  const rate = () => shown(/([\d.]+) images\/s/)[0];
  const run = (stepMs: number, from: number, to: number) => {
    for (let step = from; step < to; step++) update(stepMs, step + 1);
  };
  run(1000, 0, 100);
  assert.equal(rate(), 64);
  clock.ms += 60_000;
  bar.skipTime();
  run(1000, 100, 200);
  assert.equal(rate(), 64);
  const left = () => shown(/(\d+):(\d+) left/).reduce((sum, part) => 60 * sum + part);
  assert.equal(left(), 800);
  update(20_000, 201); // a validation
  assert.equal(left(), Math.round(799 * 220 / 201), "does not jump");
  run(1000, 201, 301);
  run(500, 301, 321);
  assert(Math.abs(rate() - (128 - 64 * Math.exp(-1))) < 2, `${rate()}`);
});

Deno.test("ProgressBar.clear() empties the line; its end is drawn once, even after an error", () => {
  const { bar, clock, written } = barOn(true);
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

Deno.test("ProgressBar ends with the mean rate", () => {
  const { bar, written, update } = barOn(false, { totalSteps: 100 });
  update(5000, 10);
  update(5000, 90);
  bar.finish();
  assert.match(written.at(-1)!, /^ 90\/100 {2}576 images\/s/);
});

Deno.test("stageProgress() shows a stage that takes a while, then clears the line", () => {
  const shown = (isTerminal: boolean, stepMs: number) => {
    let text = "", ms = 0;
    const terminal = { isTerminal, columns: () => 24, write: (more: string) => void (text += more) };
    const stage = stageProgress("tuning", terminal, () => ms);
    for (let done = 1; done <= 3; done++) {
      ms += stepMs;
      stage.update(done, 3);
    }
    stage.end();
    return text;
  };
  assert.equal(shown(true, 600), "\r███░░ tuning  0:01 left\x1b[K\r█████ tuning  0:00 left\x1b[K\r\x1b[K");
  assert.equal(shown(false, 600), "tuning: about 1 second left\n");
  assert.equal(shown(true, 10) + shown(false, 10), "");
});
