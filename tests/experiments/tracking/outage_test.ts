import assert from "node:assert/strict";
import { chooseTracking } from "../../../experiments/tracking/settings.ts";
import { withFolder } from "../../folder.ts";
import { testNeeding } from "../../permissions.ts";
import { shortRun } from "./short_run.ts";

testNeeding(
  { read: true, write: true, net: true },
  "MlflowTracker asks again soon after a server is gone, then ever less often",
  async () => {
    const times: number[] = [];
    await using server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, () => {
      times.push(performance.now());
      return new Response("", { status: 503 });
    });
    await withFolder(async (folder) => {
      const address = chooseTracking({ mlflow: `http://127.0.0.1:${server.addr.port}` }, {}).address!;
      const patience = { maxRetries: 0, backoffFactor: 0, timeoutMs: 5_000 };
      const waiting = { lookMs: 10, outageMs: 60_000, patienceMs: 1_000 };
      const said = await shortRun(folder, { address, patience, experiment: "outage", waiting });
      assert.match(said.at(-1)!, /^MLflow: .* not everything was sent; /);
      assert.equal(said.filter((line) => line.includes("training continues")).length, 1, said.join("\n"));
    });
    times.pop(); // the last one, at the end of the run
    assert.ok(times.length >= 4, `${times.length} attempts`);
    for (let i = 1; i < times.length; i++) {
      const waited = times[i] - times[i - 1];
      assert.ok(waited >= 10 * 2 ** i - 2, `attempt ${i} came after ${waited} ms`); // a timer may come 1 ms early
    }
  },
);
