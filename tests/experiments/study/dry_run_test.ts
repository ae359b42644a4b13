import assert from "node:assert/strict";
import { cellBytes, checkRoom, freeBytesAt, gigabytes } from "../../../experiments/study/dry_run.ts";
import { testInFolder } from "../../folder.ts";

Deno.test("checkRoom() refuses cells that the disk has no room for, in one line", () => {
  const cells = [{ parameters: 250_000 }, { parameters: 250_000_000 }];
  const bytes = cellBytes(cells[0]) + cellBytes(cells[1]);
  checkRoom("study", cells, bytes);
  checkRoom("study", cells, undefined);
  assert.throws(() => checkRoom("study", cells, bytes, 1), { name: "RunError" }, "weights of a milestone");
  assert.throws(() => checkRoom("study", cells, bytes - 1), {
    name: "RunError",
    message:
      "Cannot run 2 cells in study: they take about 7.5 GiB, and 7.5 GiB are free there (expected more room, " +
      "or --out on another disk)",
  });
});

testInFolder("freeBytesAt() asks the disk where a folder will be", async (folder) => {
  const free = await freeBytesAt(`${folder}/a/b`);
  assert.ok(free === undefined || free > 0 && Number.isSafeInteger(free), `${free}`);
});

Deno.test("gigabytes() rounds up to what people read", () => {
  assert.deepEqual([1, 2 ** 20 + 1, 3 * 2 ** 29].map(gigabytes), ["1 MiB", "2 MiB", "1.5 GiB"]);
});
