import assert from "node:assert/strict";
import { join } from "node:path";
import { findRun } from "../../../experiments/tracking/find_run.ts";
import { testInFolder } from "../../folder.ts";

testInFolder("findRun() says of a file that weights go to --checkpoint", async (folder) => {
  const file = join(folder, "net.safetensors");
  await Deno.writeTextFile(file, "");
  await assert.rejects(() => findRun(file, folder), {
    name: "ConfigError",
    message:
      `Cannot find the run ${file}: it is a file (expected the folder of a run; tasks that take weights ` +
      "alone take them as --checkpoint FILE)",
  });
});
