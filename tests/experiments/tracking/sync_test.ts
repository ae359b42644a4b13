import assert from "node:assert/strict";
import { join } from "node:path";
import { idTag } from "../../../experiments/tracking/description.ts";
import { freePort } from "../../free_port.ts";
import { testTask, type Workplace } from "../cli.ts";
import { type Answer, HostileServer } from "./hostile_server.ts";

const env = { MLFLOW_HTTP_REQUEST_MAX_RETRIES: "0" };

/** Makes the folder of a run that is over, and that a server has if one is named. */
async function makeRun(place: Workplace, path: string, server?: string): Promise<void> {
  await Deno.mkdir(place.file(path), { recursive: true });
  const record = { id: path, name: path, experiment: "x", status: "FINISHED", source: "a test" };
  const files = {
    "run.json": { ...record, startedAt: 1, endedAt: 2 },
    "config.json": { model: "base" },
    ...server !== undefined && { "mlflow.json": { server } },
  };
  for (const [name, json] of Object.entries(files)) {
    await Deno.writeTextFile(join(place.file(path), name), JSON.stringify(json));
  }
}

/** A server that has deleted the runs of some ids. */
const without = (...ids: string[]): Answer => ({ path, body }) => {
  const id = path.endsWith("runs/search") && ids.find((id) => JSON.parse(body).filter.includes(`'${id}'`));
  if (!id) return undefined;
  const run = HostileServer.run({ lifecycle_stage: "deleted" }, { tags: [{ key: idTag, value: id }] });
  return Response.json({ runs: [run] });
};

/** Ids of the runs that a server created. */
const createdOn = ({ seen }: HostileServer): string[] =>
  seen.filter(({ path }) => path.endsWith("runs/create")).map(({ body }) => JSON.parse(body).tags[0].value);

testTask("sync goes on after a run that the server has deleted, also within a study", async (place) => {
  await using server = new HostileServer(without("runs/a", "runs/b/cells/1"));
  for (const path of ["a", "b", "b/cells/1", "b/cells/2", "c"]) await makeRun(place, `runs/${path}`);
  const { code, stdout, stderr } = await place.run("sync", `--mlflow ${server.url}`, env);
  assert.equal(code, 1);
  assert.deepEqual(createdOn(server), ["runs/b", "runs/b/cells/2", "runs/c"]);
  assert.equal(stdout.trim().split("\n").length, 3, stdout);
  assert.deepEqual(stderr.trim().split("\n"), [
    `runs/a: ${server.url} has deleted the run r1; restore it there`,
    `runs/b: ${server.url} has deleted the run r1; restore it there`,
  ]);
});

testTask("sync goes on with runs of other servers after one that does not answer", async (place) => {
  await using server = new HostileServer();
  const gone = `http://127.0.0.1:${freePort()}`;
  await makeRun(place, "runs/a", gone);
  await makeRun(place, "runs/b", server.url);
  await makeRun(place, "runs/c", gone);
  const { code, stderr } = await place.run("sync", "--root runs", env);
  assert.equal(code, 1);
  assert.deepEqual(createdOn(server), ["runs/b"], stderr);
  assert.match(stderr, /^ServerError: http:\S+ cannot be reached .*\n$/);
});
