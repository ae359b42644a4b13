import assert from "node:assert/strict";
import { join } from "node:path";
import { Mirror } from "../../../experiments/tracking/mirror.ts";
import { newsOf, nothing, putFiles, send, serverAt, testSending, writeRun } from "./sessions.ts";

testSending(
  "sendRun() sends no file from outside the run folder, and does not hang on a pipe",
  async (run, server) => {
    await writeRun(run);
    const outside = ["../secret.txt", "../run/../secret.txt", "link.png", "linked/secret.txt"];
    const pictures = [...outside, "pipe", "mlflow.json", ".hidden"];
    const lines = pictures.map((path, step) => `${JSON.stringify({ step, "image/x": path })}\n`);
    await Deno.writeTextFile(join(run, "metrics.jsonl"), lines.join(""));
    await Deno.writeTextFile(join(run, "..", "secret.txt"), "s3cret");
    await Deno.writeTextFile(join(run, ".hidden"), "s3cret");
    await Deno.symlink("../secret.txt", join(run, "link.png"));
    await Deno.symlink("..", join(run, "linked"));
    const mayRun = Deno.permissions.querySync({ name: "run", command: "mkfifo" }).state === "granted";
    if (mayRun) await new Deno.Command("mkfifo", { args: [join(run, "pipe")] }).output();
    const [{ refused }] = await send(run, server);
    assert.deepEqual(Object.keys(refused).sort(), pictures.map((path) => `images/${path}`).sort());
    assert.ok(!server.seen.some(({ body }) => body.includes("s3cret")));
    assert.deepEqual(putFiles(server), ["config.json", "metrics.jsonl", "run.json"]);
  },
);

testSending(
  "sendRun() skips a file that is too large for the server, and sends all others and the status",
  async (run, server) => {
    await writeRun(run);
    const [{ refused, files }] = await send(run, server);
    assert.deepEqual([Object.keys(refused), files], [["artifacts/config.json"], 1]);
    assert.match(refused["artifacts/config.json"], /responded with 413/);
    const [{ info }] = await server.runs("x");
    assert.deepEqual([info.status, info.end_time], ["FINISHED", 2]);
    assert.deepEqual(await server.artifacts("r1"), ["run.json"]);
    server.answer = () => undefined;
    assert.deepEqual((await send(run, server))[0].refused, {});
    assert.deepEqual(await server.artifacts("r1"), ["config.json", "run.json"]);
  },
  ({ path }) => path.endsWith("config.json") ? new Response("<html>413</html>", { status: 413 }) : undefined,
);

testSending(
  "sendRun() counts a file as stored only if the response comes from MLflow",
  async (run, server) => {
    await writeRun(run);
    const page = { headers: { "content-type": "text/html" } };
    const foreign = ["<html>Sign in</html>", '{"login":"/"}', '"ok"'].map((body) => () =>
      new Response(body, page)
    );
    for (const answer of foreign) {
      server.answer = ({ method }) => method === "PUT" ? answer() : undefined;
      await assert.rejects(
        send(run, server),
        /is not an MLflow server: it does not respond with (JSON|an empty object)$/,
      );
      assert.equal((await server.runs("x"))[0].info.status, "RUNNING", "the run looks complete");
    }
    server.answer = () => undefined;
    assert.deepEqual((await newsOf(run, server)).files, ["config.json", "run.json"]);
  },
);

testSending(
  "sendRun() completes an ended run on a server that was restored from an older backup",
  async (run, server) => {
    const size = { channels: 1, height: 2, width: 2, classes: 0, train: 3, validation: 2, test: 1 };
    await writeRun(run, { dataset: { name: "data", digest: "ab", source: "x", ...size } });
    const step = (step: number) => `{"step":${step},"time":${step},"loss":1,"lr":"Infinity"}\n`;
    const image = '{"step":3,"time":9,"image/x":"a.png"}\n';
    await Deno.writeTextFile(join(run, "metrics.jsonl"), step(1) + step(2) + step(3) + image);
    await Deno.writeTextFile(join(run, "a.png"), "a picture");
    await send(run, server);
    await server.change("r1", ({ points }) => points.push({ key: "loss", value: 5, step: 9, timestamp: 9 }));
    assert.deepEqual(await newsOf(run, server), nothing, "an extra point is not a reason to send anything");
    const images = (await server.artifacts("r1", "images")).map((path) => path.split("/").at(-1)!);
    // What the server has lost, and the expected requests.
    const cases: [Parameters<typeof server.change>[1], Partial<typeof nothing> | object][] = [
      [({ points }) => points.splice(1, 2), { points: [["lr", 1], ["loss", 2]] }],
      [({ points }) => points.splice(0), {
        points: [["loss", 1], ["lr", 1], ["loss", 2], ["lr", 2], ["loss", 3], ["lr", 3]],
      }],
      [({ files }) => files.delete("config.json"), { files: ["config.json"] }],
      [({ files }) => files.set("config.json", new Uint8Array(3)), { files: ["config.json"] }],
      [({ files }) => images.forEach((name) => files.delete(`images/${name}`)), { files: images }],
      [({ info }) => info.status = "RUNNING", { ends: [{ run_id: "r1", status: "FINISHED", end_time: 2 }] }],
      [({ params }) => params.delete("model"), { params: ["model"] }],
      [(run) => run.inputs = [], { inputs: 1 }],
      [({ tags }) => tags.delete("mlflow.user"), { tags: ["mlflow.user"] }],
    ];
    for (const [lose, sent] of cases) {
      await server.change("r1", lose);
      const { points, tags, params, ...others } = await newsOf(run, server);
      const news = {
        points: points.map(({ key, step }) => [key, step]),
        tags: tags.map(({ key }) => key),
        params,
      };
      assert.deepEqual({ ...news, ...others }, { ...nothing, ...sent }, `${lose}`);
      assert.deepEqual(await newsOf(run, server), nothing);
    }
  },
);

testSending(
  "Mirror.pass() sends files that change with every step only when the run is over",
  async (run, server) => {
    await writeRun(run, { status: "RUNNING", endedAt: null });
    const mirror = new Mirror(run, serverAt(server.url));
    for (const name of ["last.safetensors", "metrics.jsonl", "notes.txt"]) {
      await Deno.writeTextFile(join(run, name), "");
    }
    await mirror.pass();
    assert.deepEqual(putFiles(server), ["config.json", "notes.txt", "run.json"]);
    await writeRun(run);
    server.seen.length = 0;
    await mirror.pass();
    const model = ["MLmodel", "README.md", "last.safetensors"]; // logged when the run is over
    const files = ["last.safetensors", "metrics.jsonl", "run.json"];
    assert.deepEqual(putFiles(server), [...model, ...files].sort());
  },
);

testSending("Mirror.pass() sends a file again only if its content has changed", async (run, server) => {
  await writeRun(run);
  const mirror = new Mirror(run, serverAt(server.url));
  const path = join(run, "notes.txt");
  server.answer = ({ path, body }) =>
    path.endsWith("notes.txt") && body === "refuse" ? new Response("", { status: 413 }) : undefined;
  // The content, its modification time, and how often the next pass sends it.
  const cases: [string, number, number][] = [
    ["refuse", 1, 1],
    ["refuse", 1, 0],
    ["accept", 2, 1],
    ["accept", 3, 0],
    ["change", 4, 1],
  ];
  for (const [content, changed, times] of cases) {
    await Deno.writeTextFile(path, content);
    await Deno.utime(path, changed, changed);
    server.seen.length = 0;
    await mirror.pass();
    assert.equal(putFiles(server).filter((name) => name === "notes.txt").length, times, `${changed}`);
  }
});
