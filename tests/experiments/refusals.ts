/** Invalid commands: each ends with one line that says why, and changes no file. */

import assert from "node:assert/strict";
import {
  madeOnce,
  makePlace,
  oneThread,
  type TaskName,
  testTask,
  tinyNetwork,
  type Workplace,
} from "./cli.ts";

/** An invalid command. */
export interface BadCommand {
  readonly task?: TaskName;
  readonly flags: string;
  /** The start of the line on the error stream, and other texts in it. */
  readonly says: readonly [string, ...string[]];
  /** Prepares the folder. */
  readonly prepare?: (place: Workplace) => Promise<unknown>;
  readonly env?: Record<string, string>;
}

/** Asserts that a command prints one line with the given texts, exits with 1, and touches no file. */
export async function assertRefused(
  place: Workplace,
  { task = "train:base", flags, says, prepare, env }: BadCommand,
) {
  await prepare?.(place);
  const before = await place.listing();
  const { code, stdout, stderr } = await place.run(task, flags, env);
  assert.deepEqual({ code, stdout }, { code: 1, stdout: "" }, stderr);
  assert.match(stderr, /^[^\n]+\n$/, `not one line: ${stderr}`);
  const [begin, ...pieces] = says;
  assert.ok(stderr.startsWith(begin), stderr);
  for (const piece of pieces) assert.ok(stderr.includes(piece), `no "${piece}" in: ${stderr}`);
  assert.deepEqual(await place.listing(), before);
}

/** Defines a test that each command is refused, in a folder of its own. */
export function testRefusals(name: string, commands: Readonly<Record<string, BadCommand>>): void {
  testTask(name, async () => {
    for (const [mistake, command] of Object.entries(commands)) {
      await using place = await makePlace();
      await assertRefused(place, command).catch((error) => {
        throw new Error(`${mistake}: ${error.message}`, { cause: error });
      });
    }
  });
}

/** Defines a test that a task refuses each command line with a line that begins as given. */
export function testMistakes(
  task: TaskName,
  mistakes: Readonly<Record<string, string>>,
  prepare: (place: Workplace) => Promise<unknown> = () => Promise.resolve(),
): void {
  testTask(`${task} refuses invalid commands in one line`, async (place) => {
    await prepare(place);
    for (const [flags, begin] of Object.entries(mistakes)) {
      await assertRefused(place, { task, flags, says: [begin] });
    }
  });
}

/** Flags of a run with two steps. */
export const smallRun =
  `${tinyNetwork} --max-minutes 0 --max-steps 2 --schedule constant --samples 0 --flow-samples 0 --path-samples 0`;

/** Trains a run to damage. */
export const trained = (place: Workplace) =>
  madeOnce(place, "trained", (place) => place.succeed("train:base", `${smallRun} --out run`));

/** Flags to draw an image from the run of `trained`. */
export const drawing = `--checkpoint run/last.safetensors ${oneThread} --count 1 --solver heun:steps=1`;
