import assert from "node:assert/strict";
import { join } from "node:path";
import { sendRun } from "../../../experiments/tracking/send.ts";
import { chooseTracking } from "../../../experiments/tracking/settings.ts";
import { withFolder } from "../../folder.ts";
import { testUnless } from "../../permissions.ts";
import { type Fault, FaultyProxy, type Seen } from "./faulty_proxy.ts";
import { assertMirrored } from "./mirrored.ts";
import { mirroredRun, newExperiment, noServer, quick, testMirrored, theServer } from "./shared_server.ts";
import { shortRun } from "./short_run.ts";

/** Does a run of lines and files in this program, behind a proxy that spoils some requests, then sends the rest. */
async function throughFaults(
  fault: (request: Seen) => Fault,
  { timeoutMs = 5_000, after = (_proxy: FaultyProxy, _said: string[]) => {} } = {},
): Promise<void> {
  const experiment = newExperiment();
  let spoiling = true;
  await using proxy = await FaultyProxy.start(theServer().url, (seen) => spoiling ? fault(seen) : "pass");
  await withFolder(async (folder) => {
    const address = chooseTracking({ mlflow: proxy.url }, {}).address!;
    const patience = { maxRetries: 4, backoffFactor: 0.02, timeoutMs };
    const said = await shortRun(folder, { address, patience, experiment });
    after(proxy, said);
    spoiling = false;
    const patient = { ...patience, timeoutMs: 60_000 }; // the server may be slow, on a busy machine
    for await (const { state } of sendRun(folder, { address, patience: patient })) {
      assert.equal(state, "sent");
    }
    await assertMirrored(theServer(), experiment, folder);
  });
}

const full = {
  status: 500,
  body: JSON.stringify({ error_code: "INTERNAL_ERROR", message: "database or disk is full" }),
};
const faults: Record<string, { fault: Fault; timeoutMs?: number }> = {
  "answers 500": { fault: { status: 500, body: "oops" } },
  "answers 429": { fault: { status: 429, headers: { "retry-after": "0.05" } } },
  "hangs": { fault: "hang", timeoutMs: 200 },
  "drops the connection": { fault: "refuse" },
  "drops the connection after it has done the work": { fault: "cut" },
  "has no space left": { fault: full },
};
for (const [what, { fault, timeoutMs }] of Object.entries(faults)) {
  testUnless(noServer, `MlflowTracker loses and doubles nothing where the server now and then ${what}`, () =>
    // Every run meets the fault at its creation, and then at every third request.
    throughFaults(
      ({ path, count }) => count % 3 === 1 || (path.endsWith("runs/create") && count < 8) ? fault : "pass",
      {
        ...timeoutMs !== undefined && { timeoutMs },
      },
    ));
  testUnless(
    noServer,
    `sendRun() makes good for a server that ${what} all the time`,
    () =>
      throughFaults(() => fault, {
        ...timeoutMs !== undefined && { timeoutMs },
        after: (_, said) =>
          assert.match(
            said.at(-1)!,
            /^MLflow: .*; not everything was sent; deno task sync .* sends the rest$/,
          ),
      }),
  );
}

testUnless(
  noServer,
  "MlflowTracker says once that credentials are refused, and never what they are",
  async () => {
    const secret = "a password of mine";
    const experiment = newExperiment();
    let right = "";
    await using proxy = await FaultyProxy.start(theServer().url, ({ authorization }) =>
      // Some servers repeat what they were sent.
      authorization === right ? "pass" : { status: 401, body: `no such user: ${authorization} ${secret}` });
    await withFolder(async (folder) => {
      const patience = { maxRetries: 4, backoffFactor: 0.02, timeoutMs: 60_000 };
      const choose = (password: string) =>
        chooseTracking({ mlflow: proxy.url }, {
          MLFLOW_TRACKING_USERNAME: "me",
          MLFLOW_TRACKING_PASSWORD: password,
          MLFLOW_TRACKING_TOKEN: "not used",
        }).address!;
      const said = await shortRun(folder, { address: choose(secret), patience, experiment });
      assert.equal(said.length, 2, said.join("\n"));
      assert.match(said[0], /refuses these credentials \(401; set MLFLOW_TRACKING_USERNAME and/);
      assert.ok(
        !said.join("\n").includes(secret) && !said.join("\n").includes(btoa(`me:${secret}`)),
        said.join("\n"),
      );
      for await (const { name, isFile } of Deno.readDir(folder)) {
        if (isFile) assert.ok(!(await Deno.readTextFile(join(folder, name))).includes(secret), name);
      }
      right = `Basic ${btoa("me:right")}`;
      for await (const _ of sendRun(folder, { address: choose("right"), patience }));
      await assertMirrored(theServer(), experiment, folder);
    });
  },
);

testMirrored(
  "train completes where the server is away, and sync sends all of it once",
  async (place, server) => {
    const experiment = newExperiment();
    const { stderr } = await place.succeed(
      "train:base",
      `${mirroredRun} --mlflow http://127.0.0.1:9 --experiment ${experiment}`,
      { ...quick, MLFLOW_HTTP_REQUEST_MAX_RETRIES: "2" },
    );
    assert.match(stderr, /^MLflow: http:\/\/127.0.0.1:9 cannot be reached \(.*\); training continues/m);
    assert.match(stderr, /\nMLflow: .*; not everything was sent; deno task sync run sends the rest\n/);
    assert.match(stderr, /\nDone; see run\/samples.png\n$/);
    const { stdout } = await place.succeed("sync", `--root . --mlflow ${server.url}`);
    assert.match(stdout, /^run: \d+ points and \d+ files sent, http/);
    await assertMirrored(server, experiment, place.file("run"));
  },
);
