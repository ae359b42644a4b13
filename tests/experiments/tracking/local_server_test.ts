import assert from "node:assert/strict";
import { makeDataFolder, startMlflow } from "../../../experiments/tracking/local_server.ts";
import { freePort } from "../../free_port.ts";
import { withFolder } from "../../folder.ts";
import { testNeeding } from "../../permissions.ts";

const needs = { net: true, read: true, write: true, run: true } as const;

testNeeding(needs, "a server's log goes on, and startMlflow() tells what it adds", async () => {
  await withFolder(async (data) => {
    const log = await makeDataFolder(data);
    await Deno.writeTextFile(log, "said by a server that runs\n");
    await makeDataFolder(data);
    // Deno has no modules of Python's, and says so.
    await assert.rejects(startMlflow(Deno.execPath(), { data, port: freePort() }), (error: Error) => {
      assert.equal(error.name, "ServerError");
      assert.match(error.message, /^Cannot start MLflow at http:.*: .+ \(the whole log: .*server\.log\)$/);
      return !error.message.includes("that runs");
    });
    assert.match(await Deno.readTextFile(log), /^said by a server that runs\n.*-m/s);
  });
});
