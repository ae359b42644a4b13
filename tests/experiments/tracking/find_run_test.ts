import assert from "node:assert/strict";
import { join } from "node:path";
import { recordComparison } from "../../../experiments/tracking/comparison.ts";
import { findListed, findRun } from "../../../experiments/tracking/find_run.ts";
import { FolderStore } from "../../../experiments/tracking/folder_store.ts";
import { ServerStore } from "../../../experiments/tracking/server_store.ts";
import { chooseTracking } from "../../../experiments/tracking/settings.ts";
import { testInFolder } from "../../folder.ts";
import { HostileServer, testHostile } from "./hostile_server.ts";

/** Makes the folder of a run of a name. */
async function makeRun(folder: string, name: string, startedAt: number): Promise<void> {
  await Deno.mkdir(folder);
  const record = { id: folder, name, experiment: "x", status: "FINISHED", source: "a test" };
  await Deno.writeTextFile(
    join(folder, "run.json"),
    JSON.stringify({ ...record, startedAt, endedAt: startedAt }),
  );
}

testInFolder(
  "findRun() finds the latest run of a name, whatever its folder is called, and no copy in a comparison",
  async (root) => {
    const found = async () => {
      const listed = findListed(await new FolderStore(root).list(), "given", root)?.key;
      assert.equal(listed, await findRun("given", root));
      return listed;
    };
    await makeRun(join(root, "z"), "given", 1);
    await makeRun(join(root, "a"), "given", 2);
    assert.equal(await found(), join(root, "a"));
    const comparison = await recordComparison([join(root, "a")], { root, startedAt: new Date() });
    assert.equal(await found(), join(root, "a"));
    await Deno.remove(join(root, "a"), { recursive: true });
    await Deno.remove(join(root, "z"), { recursive: true });
    assert.equal(await found(), join(comparison, "a"), "the copy is all that is left");
  },
);

const tags = [{ key: "flow.stands_for", value: "its id" }];
testHostile(
  "findListed() finds no copy in a comparison on a server",
  ({ path }) =>
    path.endsWith("runs/search")
      ? Response.json({
        runs: [
          HostileServer.run({ run_name: "given", start_time: 1 }),
          HostileServer.run({ run_id: "r2", run_name: "given", start_time: 2 }, { tags }),
        ],
      })
      : undefined,
  async (server) => {
    const { address, ...choice } = chooseTracking({ mlflow: server.url }, {});
    const runs = await new ServerStore({ address: address!, ...choice }).list();
    assert.deepEqual(runs.map(({ key }) => key), ["r1", "r2"]);
    assert.equal(findListed(runs, "given")?.key, "r1");
  },
);

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
