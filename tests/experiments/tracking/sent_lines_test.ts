import assert from "node:assert/strict";
import { lockRun } from "../../../experiments/run/run_lock.ts";
import { parseAddress } from "../../../experiments/tracking/address.ts";
import { sendRun } from "../../../experiments/tracking/send.ts";
import { sentLines } from "../../../experiments/tracking/sent_lines.ts";
import { testInFolder } from "../../folder.ts";

testInFolder("sentLines() does not promise that a program sends the run that it works on", async (run) => {
  await Deno.writeTextFile(`${run}/config.json`, "{}");
  using _ = await lockRun(run);
  const address = parseAddress("http://127.0.0.1:9", "--mlflow");
  const patience = { maxRetries: 0, backoffFactor: 0, timeoutMs: 1_000 };
  const [sent] = await Array.fromAsync(sendRun(run, { address, patience }));
  assert.deepEqual(sentLines(sent), [
    `${run}: nothing sent, as another program works on it; sync again when it has ended`,
  ]);
});
