/** Commands that cannot work: each ends in one line that says why, and changes no file. */

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

/** A command that cannot work. */
export interface BadCommand {
  readonly task?: TaskName;
  readonly flags: string;
  /** What the line on the error stream begins with, and says among other things. */
  readonly says: readonly [string, ...string[]];
  /** Prepares the folder. */
  readonly prepare?: (place: Workplace) => Promise<unknown>;
  readonly env?: Record<string, string>;
}

/** Asserts that a command ends in one line that says all it should, with exit code 1 and no file touched. */
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

/** Defines a test: each command is refused, in a folder of its own. */
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

/** Defines a test: a task refuses each command line, in a line that begins as stated. */
export function testMistakes(task: TaskName, mistakes: Readonly<Record<string, string>>): void {
  testTask(`${task} refuses what cannot work, in one line`, async (place) => {
    for (const [flags, begin] of Object.entries(mistakes)) {
      await assertRefused(place, { task, flags, says: [begin] });
    }
  });
}

/** Flags of a run of two steps. */
export const smallRun =
  `${tinyNetwork} --max-minutes 0 --max-steps 2 --samples 0 --flow-samples 0 --path-samples 0`;

/** Makes a run to spoil. */
export const trained = (place: Workplace) =>
  madeOnce(place, "trained", (place) => place.succeed("train:base", `${smallRun} --out run`));

/** Flags to draw an image from the run that `trained` makes. */
export const drawing = `--checkpoint run/last.safetensors ${oneThread} --count 1 --solver heun:steps=1`;
