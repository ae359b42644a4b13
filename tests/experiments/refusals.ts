/** Invalid commands: each ends with one line that says why, and changes no file. */

import assert from "node:assert/strict";
import {
  madeOnce,
  noPictures,
  oneThread,
  type TaskName,
  testTask,
  tinyNetwork,
  type Workplace,
} from "./cli.ts";

/** The start of the line on the error stream, and other texts in it. */
export type Says = readonly [begin: string, ...pieces: string[]];

/** Asserts that a command prints one line with the given texts, exits with 1, and touches no file. */
export async function assertRefused(
  place: Workplace,
  { task = "train:base", flags, says: [begin, ...pieces] }: {
    readonly task?: TaskName;
    readonly flags: string;
    readonly says: Says;
  },
): Promise<void> {
  const before = await place.listing();
  const { code, stdout, stderr } = await place.run(task, flags);
  assert.deepEqual({ code, stdout }, { code: 1, stdout: "" }, stderr);
  assert.match(stderr, /^[^\n]+\n$/, `not one line: ${stderr}`);
  assert.ok(stderr.startsWith(begin), `${flags}: no "${begin}" at the start of: ${stderr}`);
  for (const piece of pieces) assert.ok(stderr.includes(piece), `${flags}: no "${piece}" in: ${stderr}`);
  assert.deepEqual(await place.listing(), before);
}

/** Asserts that a task refuses each command line with a line that begins as given, or also has other texts. */
export async function assertMistakes(
  place: Workplace,
  task: TaskName,
  mistakes: Readonly<Record<string, string | Says>>,
): Promise<void> {
  for (const [flags, says] of Object.entries(mistakes)) {
    await assertRefused(place, { task, flags, says: typeof says === "string" ? [says] : says });
  }
}

/** Defines a test that a task refuses each command line with a line that begins as given. */
export function testMistakes(
  task: TaskName,
  mistakes: Readonly<Record<string, string | Says>>,
  prepare: (place: Workplace) => Promise<unknown> = () => Promise.resolve(),
): void {
  testTask(`${task} refuses invalid commands in one line`, async (place) => {
    await prepare(place);
    await assertMistakes(place, task, mistakes);
  });
}

/** Flags of a run with two steps. */
export const smallRun = `${tinyNetwork} --max-minutes 0 --max-steps 2 --schedule constant ${noPictures}`;

/** Trains a run of two steps without classes, to damage or to draw from. */
export const trained = (place: Workplace) =>
  madeOnce(place, "trained", (place) => {
    return place.succeed("train:residual", `${smallRun} --no-conditional --lr 0.01 --warm-up 0 --out run`);
  });

/** Flags to draw an image from the run of `trained`. */
export const drawing = `--checkpoint run/last.safetensors ${oneThread} --count 1 --solver heun:steps=1`;
