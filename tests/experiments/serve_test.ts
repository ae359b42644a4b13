import assert from "node:assert/strict";
import { join } from "node:path";
import { serveCheckout, servePage } from "../../experiments/serve.ts";
import { withFolder } from "../folder.ts";
import { granted, testNeeding } from "../permissions.ts";

/** Status and body of a response. `fetch` would set the header Host itself. */
async function get(port: number, path: string, host = `127.0.0.1:${port}`): Promise<[number, string]> {
  using connection = await Deno.connect({ hostname: "127.0.0.1", port });
  const request = `GET ${path} HTTP/1.0\r\nHost: ${host}\r\n\r\n`;
  await connection.write(new TextEncoder().encode(request));
  const answer = await new Response(connection.readable).text();
  const [head, body] = answer.split("\r\n\r\n");
  return [Number(head.split(" ")[1]), body];
}

const testServer = (name: string, test: (folder: string) => Promise<void>) =>
  testNeeding({ read: true, write: true, net: true }, name, () => withFolder(test));

testServer("serveCheckout() serves regular files in the folder, and no others", async (root) => {
  const make = async (path: string, text: string) => {
    await Deno.mkdir(join(root, path, ".."), { recursive: true });
    await Deno.writeTextFile(join(root, path), text);
  };
  await make("checkout/mod.ts", "mod");
  await make("checkout/.env", "secret");
  await make("checkout/runs/a/report.html", "report");
  await make("disk/b/report.html", "other disk");
  await make("outside", "secret");
  const link = (to: string, name: string) => Deno.symlink(to, join(root, "checkout/runs/a", name));
  await link("../../../outside", "file");
  await link("../../..", "folder");
  await link("/dev/zero", "endless");
  await link("../../.env", "hidden");
  await link("../..", "checkout");
  if (granted("run")) {
    await new Deno.Command("mkfifo", { args: [join(root, "checkout/runs/a/pipe")] }).output();
  }
  await using server = serveCheckout({ root: join(root, "checkout") });
  for (
    const [path, answer] of [
      ["/runs/a/report.html", [200, "report"]],
      ["/runs/a/checkout/mod.ts", [200, "mod"]],
      ["/runs/a/file", [404, "not found"]],
      ["/runs/a/folder/outside", [404, "not found"]],
      ["/runs/a/endless", [404, "not found"]],
      ["/runs/a/pipe", [404, "not found"]],
      ["/runs/a/hidden", [404, "not found"]],
      ["/runs/a/checkout/.env", [404, "not found"]],
      ["/runs/a", [404, "not found"]],
    ] as const
  ) assert.deepEqual(await get(server.addr.port, path), answer, path);

  await Deno.rename(join(root, "checkout/runs"), join(root, "checkout/moved"));
  await Deno.symlink(join(root, "disk"), join(root, "checkout/runs"));
  assert.deepEqual(await get(server.addr.port, "/runs/b/report.html"), [200, "other disk"]);
  assert.equal((await get(server.addr.port, "/runs/b/../../outside"))[0], 404);
});

testServer("serveCheckout() sends large files in pieces", async (root) => {
  await Deno.writeTextFile(join(root, "large"), "start");
  await Deno.truncate(join(root, "large"), 2 ** 36);
  await using server = serveCheckout({ root });
  const { body } = await fetch(`http://127.0.0.1:${server.addr.port}/large`);
  const reader = body!.getReader({ mode: "byob" });
  const { value } = await reader.read(new Uint8Array(5), { min: 5 });
  await reader.cancel();
  assert.equal(new TextDecoder().decode(value), "start");
});

testNeeding({ read: true, net: true }, "servers respond only under their own names", async () => {
  await using checkout = serveCheckout();
  await using page = servePage("page");
  for (const [{ addr: { port } }, path] of [[checkout, "/deno.json"], [page, "/"]] as const) {
    for (
      const [host, status] of [
        [`127.0.0.1:${port}`, 200],
        [`localhost:${port}`, 200],
        [`LOCALHOST:${port}`, 200],
        [`evil.example:${port}`, 403],
        [`127.0.0.1:${port + 1}`, 403],
        [`localhost.evil.example:${port}`, 403],
        ["127.0.0.1", 403],
        ["", 403],
      ] as const
    ) assert.equal((await get(port, path, host))[0], status, host);
  }
});

testServer("serveCheckout() lists the reports of runs at /", async (root) => {
  await using server = serveCheckout({ root });
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

testServer("serveCheckout() serves a playground, which reports at any depth link to", async (root) => {
  const report = '<nav class="contents" aria-label="Contents"><a href="#flow">Flow</a></nav><nav></nav>';
  for (
    const [path, text] of [["runs/a/report.html", report], ["runs/a/b/report.html", report], [
      "runs/a/x.html",
      report,
    ]]
  ) {
    await Deno.mkdir(join(root, path, ".."), { recursive: true });
    await Deno.writeTextFile(join(root, path), text);
  }
  await using server = serveCheckout({ root });
  const linked = async (path: string) => {
    const [, body] = await get(server.addr.port, path);
    return Array.from(
      body.matchAll(/<a href="([^"#]+)"/g),
      ([, address]) => new URL(address, `http://x${path}`).pathname,
    );
  };
  assert.deepEqual(await linked("/runs/a/report.html"), ["/playground.html"]);
  assert.deepEqual(await linked("/runs/a/b/report.html"), ["/playground.html"]);
  assert.deepEqual(await linked("/runs/a/x.html"), []);
  assert.match((await get(server.addr.port, "/playground.html"))[1], /<title>Flow matching, live/);
  await Deno.writeTextFile(join(root, "playground.html"), "with digits");
  assert.equal((await get(server.addr.port, "/playground.html"))[1], "with digits");
});
