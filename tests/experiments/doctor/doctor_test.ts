import assert from "node:assert/strict";
import { checks } from "../../../experiments/doctor/checks.ts";
import { testTask, type Workplace } from "../cli.ts";
import { HostileServer } from "../tracking/hostile_server.ts";

/** A line of `--json`. */
interface Line {
  readonly check: string;
  readonly state: string;
  readonly says: string;
  readonly advice: string | null;
  readonly values: Readonly<Record<string, unknown>>;
}

const flags = "--data data --device cpu";

/** What `--json` prints, whatever the machine. */
async function examined(
  place: Workplace,
  more: string,
  env: Record<string, string> = {},
): Promise<{ ok: boolean; findings: readonly Line[]; code: number; output: string }> {
  const { code, stdout, stderr } = await place.run("doctor", `${flags} --json ${more}`, env);
  assert.equal(stderr, "");
  return { ...JSON.parse(stdout), code, output: stdout };
}

const of = (findings: readonly Line[], check: string) =>
  findings.find((line) => line.check === check) ?? assert.fail(`no line of ${check}`);

testTask("doctor prints a line for every check, with the rate of the preset", async (place) => {
  const { stdout, stderr } = await place.run("doctor", `${flags} --seconds 0.1`);
  assert.equal(stderr, "");
  const lines = stdout.trim().split("\n");
  for (const check of Object.keys(checks)) {
    assert.ok(lines.some((line) => new RegExp(`^(ok|warning|error) +${check} `).test(line)), check);
  }
  for (const line of lines.filter((line) => !line.startsWith("ok "))) assert.ok(line.includes("; "), line);
});

testTask("doctor --json prints numbers as numbers, and its exit code follows", async (place) => {
  const { ok, findings, code } = await examined(place, "--seconds 0.1");
  assert.equal(code, ok ? 0 : 1);
  assert.equal(ok, findings.every(({ state }) => state !== "error"));
  const { imagesPerSecond, batchSize, parameters } = of(findings, "training").values;
  assert.ok(typeof imagesPerSecond === "number" && imagesPerSecond > 0);
  assert.ok(Number.isInteger(batchSize) && Number.isInteger(parameters));
  assert.equal(of(findings, "data").values.trainImages, 96);
  assert.ok(of(findings, "memory").values.availableBytes as number > 0);
});

testTask("doctor writes nothing", async (place) => {
  const before = await place.listing();
  await place.run("doctor", `${flags} --seconds 0`);
  assert.deepEqual(await place.listing(), before);
});

testTask("doctor fails where training would", async (place) => {
  const { code, stdout } = await place.run("doctor", "--device cpu --seconds 0 --data nowhere");
  assert.equal(code, 1);
  assert.match(stdout, /^error +data +Cannot read the data folder nowhere: it does not exist .*; /m);
});

testTask("doctor says in one line which flag it cannot use", async (place) => {
  const { code, stdout, stderr } = await place.run("doctor", "--second 3");
  assert.deepEqual([code, stdout], [1, ""]);
  assert.equal(stderr, "ConfigError: Unknown flag --second (did you mean --seconds?)\n");
});

testTask(
  "doctor asks the server that is named, once, and shows nothing secret of its address",
  async (place) => {
    await using server = new HostileServer(({ path }) =>
      path.includes("get-by-name")
        ? Response.json({ message: "no hunter2 here" }, { status: 500 })
        : undefined
    );
    const address = server.url.replace("://", "://ada:hunter2@");
    const failing = await examined(place, "--seconds 0", {
      MLFLOW_TRACKING_URI: `${address}/?token=hunter2`,
    });
    assert.equal(of(failing.findings, "tracker").state, "error"); // a query is refused
    const refusing = await examined(place, `--seconds 0 --mlflow ${address}`);
    const { state, says, advice } = of(refusing.findings, "tracker");
    assert.equal(state, "warning");
    assert.match(says, /^http:\/\/127\.0\.0\.1:\d+ answered 500/);
    assert.match(advice ?? "", /deno task sync/);
    assert.equal(server.seen.length, 1);
    for (const { output } of [failing, refusing]) assert.doesNotMatch(output, /hunter2/);
  },
);

testTask("doctor tells of a server that answers, and of one that is not there", async (place) => {
  await using server = new HostileServer();
  const answering = await examined(place, "--seconds 0 --experiment mine", {
    MLFLOW_TRACKING_URI: server.url,
  });
  assert.deepEqual(of(answering.findings, "tracker").values, {
    url: server.url,
    experiment: "mine",
    exists: true,
  });
  const { findings } = await examined(place, "--seconds 0 --mlflow http://127.0.0.1:9");
  assert.equal(of(findings, "tracker").state, "warning");
  assert.match(of(findings, "tracker").says, /^http:\/\/127\.0\.0\.1:9 cannot be reached/);
});
