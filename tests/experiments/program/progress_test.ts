import assert from "node:assert/strict";
import {
  type Progress,
  ProgressBar,
  progressLine,
  type Terminal,
  type Workload,
} from "../../../experiments/program/progress.ts";

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
const pipe = { isTerminal: false, columns: 80 };

Deno.test("ProgressBar.update() redraws a terminal at most 10 times a second", () => {
  const { bar, clock, written } = barOn(screen);
  for (let step = 1; step <= 100; step++) {
    clock.ms += 10;
    bar.update(step, 0.5);
  }
  assert.equal(written.length, 10);
  assert(written.every((text) => text.startsWith("\r") && text.endsWith("\x1b[K") && !text.includes("\n")));
});

Deno.test("ProgressBar.update() shows steps, rate, loss, elapsed time and time left", () => {
  const { bar, clock, written } = barOn(screen);
  for (let step = 1; step <= 25; step++) {
    clock.ms += 2000;
    bar.update(step, 1 / step);
  }
  assert.equal(
    written.at(-1),
    `\r${"█".repeat(9)}${"░".repeat(29)}  25/100  32.0 images/s  loss 0.0400  0:50 elapsed  2:30 left\x1b[K`,
  );
});

Deno.test("ProgressBar.update() writes whole lines on a terminal of unknown width", () => {
  const { bar, clock, written } = barOn({ isTerminal: true, columns: 0 });
  clock.ms += 1000;
  bar.update(50);
  const text = " 50/100  3200 images/s  0:01 elapsed  0:01 left";
  const half = Math.floor((79 - 1 - text.length) / 2); // of the cells, which are 31
  assert.equal(written.at(-1), `\r${"█".repeat(half)}${"░".repeat(half + 1)} ${text}\x1b[K`);
});

Deno.test("ProgressBar.update() keeps the last loss if none is given", () => {
  const { bar, clock, written } = barOn(screen);
  clock.ms += 1000;
  bar.update(1, 0.25);
  clock.ms += 1000;
  bar.update(2);
  assert.match(written.at(-1)!, /2\/100 .* loss 0\.2500 /);
});

Deno.test("ProgressBar.update() smooths the rate over about 10 seconds", () => {
  const { bar, clock, written } = barOn(screen, { totalSteps: 100_000 });
  const rate = () => Number(/([\d.]+) images\/s/.exec(written.at(-1)!)?.[1]);
  const run = (stepMs: number, from: number, steps: number) => {
    for (let step = 1; step <= steps; step++) {
      clock.ms += stepMs;
      bar.update(from + step);
    }
  };
  run(1000, 0, 100);
  assert.equal(rate(), 64);
  run(500, 100, 20);
  const expected = 128 - 64 * Math.exp(-1);
  assert(Math.abs(rate() - expected) < 2, `${rate()} is not near ${expected}`);
});

Deno.test("ProgressBar.skipTime() leaves other work out of the rate", () => {
  const { bar, clock, written } = barOn(screen);
  for (const step of [10, 20]) {
    clock.ms += 1000;
    bar.update(step);
  }
  clock.ms += 60_000;
  bar.skipTime();
  clock.ms += 1000;
  bar.update(30);
  assert.match(written.at(-1)!, / {2}640 images\/s {2}1:03 elapsed {2}0:07 left/);
});

Deno.test("ProgressBar.update() ignores steps of earlier sessions in rate and time", () => {
  const { bar, clock, written } = barOn(screen, { startStep: 90 });
  clock.ms += 1000;
  bar.update(91);
  assert.match(written.at(-1)!, / 91\/100 {2}64\.0 images\/s {2}0:01 elapsed {2}0:09 left/);
});

Deno.test("ProgressBar.update() shows no remaining time if the number of steps is unknown", () => {
  const { bar, clock, written } = barOn(screen, { totalSteps: 0 });
  clock.ms += 60_000;
  bar.update(7);
  assert.match(written.at(-1)!, /^\r░{40} 7 steps .* 1:00 elapsed.\[K$/);
});

Deno.test("ProgressBar.clear() empties the line until the next update", () => {
  const { bar, clock, written } = barOn(screen);
  bar.clear();
  assert.deepEqual(written, []);
  bar.update(1);
  bar.clear();
  bar.clear();
  assert.deepEqual(written.slice(1), ["\r\x1b[K"]);
  clock.ms += 100;
  bar.update(2);
  assert.match(written.at(-1)!, /2\/100/);
});

Deno.test("ProgressBar.finish() draws the last state once and ends the line", () => {
  const { bar, clock, written } = barOn(screen);
  bar.update(99);
  clock.ms += 10;
  bar.update(100);
  bar.finish();
  bar.finish();
  assert.equal(written.length, 3);
  assert.match(written[1], /^\r█+ 100\/100 .* 0:00 left/);
  assert.equal(written[2], "\n");
});

Deno.test("ProgressBar[Symbol.dispose]() ends the line of a task that fails", () => {
  const { bar, written } = barOn(screen);
  assert.throws(() => {
    using running = bar;
    running.update(1);
    throw new RangeError("failed");
  }, RangeError);
  assert.equal(written.at(-1), "\n");
});

Deno.test("ProgressBar.update() adds a line every 10 seconds and at the end without a terminal", () => {
  const { bar, clock, written } = barOn(pipe);
  for (let step = 1; step <= 25; step++) {
    clock.ms += 1000;
    bar.update(step, 0.5);
  }
  bar.clear();
  bar.finish();
  assert.deepEqual(written, [
    " 10/100  64.0 images/s  loss 0.5000  0:10 elapsed  1:30 left\n",
    " 20/100  64.0 images/s  loss 0.5000  0:20 elapsed  1:20 left\n",
    " 25/100  64.0 images/s  loss 0.5000  0:25 elapsed  1:15 left\n",
  ]);
});

Deno.test("progressLine() is never wider than the terminal", () => {
  const progress: Progress = {
    step: 1234,
    totalSteps: 8440,
    elapsedSeconds: 7322,
    stepsPerSecond: 10,
    imagesPerStep: 64,
    unit: "images",
    loss: NaN,
  };
  for (let width = 0; width <= 200; width++) assert(progressLine(progress, width).length <= width);
  assert(
    progressLine(progress, 200).endsWith("░ 1234/8440  640 images/s  loss NaN  2:02:02 elapsed  12:01 left"),
  );
});
