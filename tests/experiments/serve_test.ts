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
  const make = async (path: string, text: string) => {
    await Deno.mkdir(join(root, path, ".."), { recursive: true });
    await Deno.writeTextFile(join(root, path), text);
  };
  await make("checkout/mod.ts", "mod");
  await make("checkout/.env", "secret");
  await make("checkout/runs/a/report.html", "report");
  await make("disk/b/report.html", "other disk");
  await make("outside", "secret");
  await make("checkout/runs/a/.env", "secret");
  await make("checkout/runs/.hidden/x", "secret");
  const link = (to: string, name: string) => Deno.symlink(to, join(root, "checkout/runs/a", name));
  await link("../../../outside", "file");
  await link("../../..", "folder");
  await link("/dev/zero", "endless");
  await link("../../.env", "hidden");
  await link(".env", "beside");
  await link("../..", "checkout");
  if (granted("run")) {
    await new Deno.Command("mkfifo", { args: [join(root, "checkout/runs/a/pipe")] }).output();
  }
  await using server = serveFiles({ root: join(root, "checkout") });
  for (
    const [path, answer] of [
      ["/runs/a/report.html", [200, "report"]],
      ["/mod.ts", [200, "mod"]],
      ["/runs/a/checkout/mod.ts", [404, "not found"]],
      ["//runs/a/report.html", [404, "not found"]], // which would not be confined
      ["/runs/a/.env", [404, "not found"]],
      ["/runs/.hidden/x", [404, "not found"]],
      ["/.env", [404, "not found"]],
      ["/runs/a/%2eenv", [404, "not found"]],
      ["/runs/a/file", [404, "not found"]],
      ["/runs/a/folder/outside", [404, "not found"]],
      ["/runs/a/endless", [404, "not found"]],
      ["/runs/a/pipe", [404, "not found"]],
      ["/runs/a/hidden", [404, "not found"]],
      ["/runs/a/beside", [404, "not found"]],
      ["/runs/a/checkout/.env", [404, "not found"]],
      ["/runs/a", [404, "not found"]],
    ] as const
  ) assert.deepEqual(await get(server.addr.port, path), answer, path);

  await Deno.rename(join(root, "checkout/runs"), join(root, "checkout/moved"));
  await Deno.symlink(join(root, "disk"), join(root, "checkout/runs"));
  assert.deepEqual(await get(server.addr.port, "/runs/b/report.html"), [200, "other disk"]);
  assert.equal((await get(server.addr.port, "/runs/b/../../outside"))[0], 404);
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

testNeeding({ read: true, net: true }, "serveFiles() responds only under its own names", async () => {
  await using server = serveFiles();
  const { port } = server.addr;
  const cases: Record<string, number> = {
    [`127.0.0.1:${port}`]: 200,
    [`localhost:${port}`]: 200,
    [`LOCALHOST:${port}`]: 200,
    [`evil.example:${port}`]: 403,
    [`127.0.0.1:${port + 1}`]: 403,
    [`localhost.evil.example:${port}`]: 403,
    "127.0.0.1": 403,
    "": 403,
  };
  for (const [host, status] of Object.entries(cases)) {
    assert.equal((await get(port, "/deno.json", host))[0], status, host);
  }
});

testServer("serveFiles() answers GET and HEAD alone", async (root) => {
  await Deno.writeTextFile(join(root, "a.txt"), "text");
  await using server = serveFiles({ root });
  const { port } = server.addr;
  const answers = (method: string) => get(port, "/a.txt", undefined, method);
  assert.deepEqual(await answers("GET"), [200, "text"]);
  assert.deepEqual(await answers("HEAD"), [200, ""]);
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
  assert.deepEqual(body.match(/<a href="\/runs.*?<\/a>/g), [
    '<a href="/runs/%3Cb%3E%201/report.html">&#60;b&#62; 1</a>',
  ]);
});

testServer("serveFiles() serves a playground, without digits if MNIST is not to be had", async () => {
  const missing = () => Promise.reject(new DataError("Cannot get MNIST"));
  for (
    const [page, expected] of [[undefined, /<title>Flow matching, live/], [missing, /<title>Flow/]] as const
  ) {
    await using server = serveFiles(page && { page });
    assert.match((await get(server.addr.port, "/playground.html"))[1], expected);
  }
});
