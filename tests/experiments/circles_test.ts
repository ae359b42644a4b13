import assert from "node:assert/strict";
import { testNeeding } from "../permissions.ts";

const root = new URL("../../experiments/", import.meta.url).href;

/** What each module of experiments/ imports at run time from experiments/, by their paths in it. */
async function runtimeImports(): Promise<Map<string, Set<string>>> {
  const tasks = await Array.fromAsync(Deno.readDir(new URL(root)), ({ name }) => name);
  const imports = new Map<string, Set<string>>();
  for (const task of tasks.filter((name) => name.endsWith(".ts"))) {
    const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["info", "--json", root + task],
    }).output();
    assert.ok(success, new TextDecoder().decode(stderr));
    const { modules }: {
      modules: { specifier: string; dependencies?: { code?: { specifier?: string } }[] }[];
    } = JSON.parse(new TextDecoder().decode(stdout));
    for (
      const { specifier, dependencies = [] } of modules.filter(({ specifier }) => specifier.startsWith(root))
    ) {
      const found = dependencies.flatMap(({ code }) =>
        code?.specifier?.startsWith(root) ? [code.specifier] : []
      );
      imports.set(specifier.slice(root.length), new Set(found.map((path) => path.slice(root.length))));
    }
  }
  return imports;
}

/** The imports between rooms, the folders of experiments/. */
function betweenRooms(imports: ReadonlyMap<string, ReadonlySet<string>>): Map<string, Set<string>> {
  const room = (path: string) => path.includes("/") ? path.split("/")[0] : path;
  const rooms = new Map<string, Set<string>>();
  for (const [from, all] of imports) {
    const others = rooms.get(room(from)) ?? new Set();
    for (const to of all) if (room(to) !== room(from)) others.add(room(to));
    rooms.set(room(from), others);
  }
  return rooms;
}

/** A way that leads from a node back to it; undefined if there is none. */
function circleIn(edges: ReadonlyMap<string, ReadonlySet<string>>): string[] | undefined {
  const done = new Set<string>();
  const visit = (node: string, way: readonly string[]): string[] | undefined => {
    if (way.includes(node)) return [...way.slice(way.indexOf(node)), node];
    if (done.has(node)) return undefined;
    for (const next of edges.get(node) ?? []) {
      const circle = visit(next, [...way, node]);
      if (circle) return circle;
    }
    done.add(node);
  };
  for (const node of edges.keys()) {
    const circle = visit(node, []);
    if (circle) return circle;
  }
}

testNeeding(
  { read: true, run: true },
  "experiments/ has no circle of imports at run time, of modules or of rooms",
  async () => {
    assert.deepEqual(
      circleIn(new Map([["a", new Set(["b"])], ["b", new Set(["c"])], ["c", new Set(["b"])]])),
      ["b", "c", "b"],
    );
    const imports = await runtimeImports();
    assert.ok(imports.size > 80, `only ${imports.size} modules were seen`);
    assert.equal(circleIn(imports)?.join(" -> "), undefined);
    assert.equal(circleIn(betweenRooms(imports))?.join(" -> "), undefined);
  },
);
