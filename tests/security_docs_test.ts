import assert from "node:assert/strict";
import settings from "../deno.json" with { type: "json" };
import { textOf } from "./module_graph.ts";
import { testNeeding } from "./permissions.ts";

/** Permissions of a command in the words of docs/security.md: read, write, network, programs. */
function rightsOf(command: string): string[] {
  const flag = (name: string) => new RegExp(` --allow-${name}(?:=(\\S+))?(?= )`).exec(command);
  const files = (name: string) => {
    const found = flag(name);
    if (found === null) return "";
    return found[1] === undefined ? "all" : found[1] === ".,/tmp" ? "here" : "some";
  };
  const net = command.includes("-P=tracking") ? "all" : flag("net")?.[1] ?? "";
  const programs = flag("run")?.[1].split(",").filter((path) => !path.startsWith(".cache/")) ?? [];
  return [files("read"), files("write"), net, programs.join(", ")];
}

testNeeding({ read: true }, "docs/security.md says of each task what deno.json allows it", async () => {
  const rows = (await textOf("docs/security.md")).matchAll(/^\| `([\w:]+)` +\|(.*)\|$/gm);
  const told = Array.from(
    rows,
    ([, task, cells]) => [task, cells.split("|").slice(0, 4).map((cell) => cell.trim())],
  );
  const tasks = Object.entries(settings.tasks).filter(([, { command }]) =>
    / experiments\/\w+\.ts/.test(command)
  );
  assert.deepEqual(
    Object.fromEntries(told),
    Object.fromEntries(tasks.map(([task, { command }]) => [task, rightsOf(command)])),
  );
  assert.deepEqual(Object.keys(settings.permissions.tracking).sort(), ["env", "net", "write"]);
});

testNeeding({ read: true }, "tasks with MLflow's variables may write no code", async () => {
  const { deny } = settings.permissions.tracking.write;
  const folders = await Array.fromAsync(Deno.readDir(new URL("..", import.meta.url)));
  const code = folders.map(({ name }) => name).filter((name) =>
    !/^(runs|docs|checkpoints|coverage|node_modules|\..*)$|\.(md|png|gif|html)$|^LICENSE$/.test(name)
  );
  assert.deepEqual(code.filter((name) => !deny.includes(name)), []);
  for (const name of [".git", ".cache", ".ci"]) assert.ok(deny.includes(name), name);
});
