import assert from "node:assert/strict";
import { join } from "node:path";
import { serveFiles } from "../../experiments/serve.ts";
import { DataError } from "../../experiments/data/dataset.ts";
import { withFolder } from "../folder.ts";
import { granted, testNeeding } from "../permissions.ts";

/** Status and body of a response. `fetch` would set the header Host itself, and resolve `..`. */
async function get(
  port: number,
  path: string,
  host = `127.0.0.1:${port}`,
  method = "GET",
): Promise<[number, string]> {
  using connection = await Deno.connect({ hostname: "127.0.0.1", port });
  const request = `${method} ${path} HTTP/1.0\r\nHost: ${host}\r\n\r\n`;
  await connection.write(new TextEncoder().encode(request));
  const answer = await new Response(connection.readable).text();
  const [head, body] = answer.split("\r\n\r\n");
  return [Number(head.split(" ")[1]), body];
}

const testServer = (name: string, test: (folder: string) => Promise<void>) =>
  testNeeding({ read: true, write: true, net: true }, name, () => withFolder(test));

testServer("serveFiles() serves regular files in the folder, and no others", async (root) => {
  const secrets = ["outside", "checkout/.env", "checkout/runs/a/.env", "checkout/runs/.hidden/x"];
  const files = {
    ...{
      "checkout/mod.ts": "mod",
      "checkout/runs/a/report.html": "report",
      "disk/b/report.html": "other disk",
    },
    ...Object.fromEntries(secrets.map((path) => [path, "secret"])),
  };
  for (const [path, text] of Object.entries(files)) {
    await Deno.mkdir(join(root, path, ".."), { recursive: true });
    await Deno.writeTextFile(join(root, path), text);
  }
  const runs = join(root, "checkout/runs");
  const links = {
    ...{ file: "../../../outside", folder: "../../..", endless: "/dev/zero", hidden: "../../.env" },
    ...{ beside: ".env", checkout: "../.." },
  };
  for (const [name, to] of Object.entries(links)) await Deno.symlink(to, join(runs, "a", name));
  if (granted("run")) await new Deno.Command("mkfifo", { args: [join(runs, "a/pipe")] }).output();
  await using server = serveFiles({ root: join(root, "checkout") });
  const { port } = server.addr;
  assert.deepEqual(await get(port, "/runs/a/report.html"), [200, "report"]);
  assert.deepEqual(await get(port, "/mod.ts"), [200, "mod"]);
  const refused = [
    ...["/.env", "/runs/.hidden/x", "/runs/a", "//runs/a/report.html"], // the last would not be confined
    ...["checkout/mod.ts", ".env", "%2eenv", "file", "folder/outside", "endless", "pipe", "hidden", "beside"]
      .map((name) => `/runs/a/${name}`),
    "/runs/a/checkout/.env",
  ];
  for (const path of refused) assert.deepEqual(await get(port, path), [404, "not found"], path);

  await Deno.rename(runs, join(root, "checkout/moved"));
  await Deno.symlink(join(root, "disk"), runs);
  assert.deepEqual(await get(port, "/runs/b/report.html"), [200, "other disk"]);
  assert.equal((await get(port, "/runs/b/../../outside"))[0], 404);
});

testServer("serveFiles() sends large files in pieces", async (root) => {
  await Deno.writeTextFile(join(root, "large"), "start");
  await Deno.truncate(join(root, "large"), 2 ** 36);
  await using server = serveFiles({ root });
  const { body } = await fetch(`http://127.0.0.1:${server.addr.port}/large`);
  const reader = body!.getReader({ mode: "byob" });
  const { value } = await reader.read(new Uint8Array(5), { min: 5 });
  await reader.cancel();
  assert.equal(new TextDecoder().decode(value), "start");
});

testServer("serveFiles() answers GET and HEAD alone, only under its own names", async (root) => {
  await Deno.writeTextFile(join(root, "a.txt"), "text");
  await using server = serveFiles({ root });
  const { port } = server.addr;
  const hosts: Record<string, number> = {
    ...{ [`127.0.0.1:${port}`]: 200, [`LOCALHOST:${port}`]: 200, [`evil.example:${port}`]: 403 },
    ...{ [`127.0.0.1:${port + 1}`]: 403, [`localhost.evil.example:${port}`]: 403, "127.0.0.1": 403, "": 403 },
  };
  for (const [host, status] of Object.entries(hosts)) {
    assert.equal((await get(port, "/a.txt", host))[0], status, host);
  }
  const answers = (method: string) => get(port, "/a.txt", undefined, method);
  assert.deepEqual([await answers("GET"), await answers("HEAD")], [[200, "text"], [200, ""]]);
  for (const method of ["POST", "PUT", "DELETE", "OPTIONS"]) {
    assert.deepEqual(await answers(method), [405, "expected GET or HEAD"], method);
  }
});

testServer("serveFiles() lists what it serves at /", async (root) => {
  await using server = serveFiles({ root });
  assert.match((await get(server.addr.port, "/"))[1], /examples\/sample_in_page\.html/); // even without runs
  await Deno.mkdir(join(root, "runs/<b> 1"), { recursive: true });
  await Deno.writeTextFile(join(root, "runs/<b> 1/report.html"), "report");
  await Deno.mkdir(join(root, "runs/unfinished"));
  const [status, body] = await get(server.addr.port, "/");
  assert.equal(status, 200);
  const link = '<a href="/runs/%3Cb%3E%201/report.html">&#60;b&#62; 1</a>';
  assert.deepEqual(body.match(/<a href="\/runs.*?<\/a>/g), [link]);
});

testServer("serveFiles() serves a playground, without digits if MNIST is not to be had", async () => {
  const missing = () => Promise.reject(new DataError("Cannot get MNIST"));
  for (const page of [undefined, missing]) {
    await using server = serveFiles(page && { page });
    const [, html] = await get(server.addr.port, "/playground.html");
    assert.match(html, page ? /<title>Flow/ : /<title>Flow matching, live/);
  }
});
