import assert from "node:assert/strict";
import { testNeeding } from "./permissions.ts";

/** Which folder may import which; the order of the house. */
const allowed: Record<string, readonly string[]> = {
  kernels: ["kernels"],
  models: ["kernels", "models"],
  viz: ["viz"],
  web: ["kernels", "models", "viz"],
  experiments: ["kernels", "models", "viz", "web", "experiments"],
};

interface ModuleGraph {
  readonly modules: readonly {
    readonly specifier: string;
    readonly dependencies?: readonly {
      readonly specifier: string;
      readonly code?: { readonly specifier?: string };
    }[];
  }[];
}

async function graphOf(entry: string): Promise<ModuleGraph> {
  const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["info", "--json", entry],
    cwd: new URL("..", import.meta.url),
  }).output();
  assert.ok(success, new TextDecoder().decode(stderr));
  return JSON.parse(new TextDecoder().decode(stdout));
}

const root = new URL("..", import.meta.url).href;
const folderOf = (specifier: string) =>
  specifier.startsWith(root) ? specifier.slice(root.length).split("/")[0] : undefined;

testNeeding({ run: true }, "imports follow the arrows of the house", async () => {
  let seen = 0;
  for (
    const entry of [
      "mod.ts",
      "web/mod.ts",
      "experiments/train.ts",
      "experiments/sample.ts",
      "experiments/overfit.ts",
      "experiments/compare.ts",
      "experiments/sync.ts",
      "experiments/runs.ts",
      "experiments/mlflow.ts",
      "experiments/report.ts",
    ]
  ) {
    const { modules } = await graphOf(entry);
    for (const { specifier, dependencies = [] } of modules) {
      const from = folderOf(specifier);
      if (from === undefined || !(from in allowed)) continue;
      for (const { code } of dependencies) {
        const to = code?.specifier && folderOf(code.specifier);
        if (!to) continue;
        seen++;
        assert.ok(allowed[from].includes(to), `${specifier} imports ${code.specifier}`);
      }
    }
  }
  assert.ok(seen > 100, `only ${seen} imports were seen`);
});

testNeeding(
  { read: true, run: true },
  "library modules use relative, node: or pinned npm: specifiers only",
  async () => {
    const { modules } = await graphOf("mod.ts");
    for (const { specifier, dependencies = [] } of modules) {
      if (folderOf(specifier) === undefined) continue;
      for (const { specifier: written } of dependencies) {
        assert.match(
          written,
          /^(\.\.?\/|node:|npm:(@[\w-]+\/)?[\w.-]+@\d+\.\d+\.\d+($|\/))/,
          `${specifier} imports "${written}"`,
        );
      }
    }
  },
);

testNeeding(
  { read: true },
  "kernels, models, viz and web do not touch Deno, so they run in a browser too",
  async () => {
    for (const folder of ["kernels", "models", "viz", "web"]) {
      for await (const path of sources(new URL(`${folder}/`, root))) {
        const code = (await Deno.readTextFile(path)).replace(/\/\*[\s\S]*?\*\/|\/\/.*/g, "");
        assert.doesNotMatch(code, /\bDeno\./, path.href);
      }
    }
  },
);

async function* sources(folder: URL): AsyncGenerator<URL> {
  for await (const { name, isDirectory } of Deno.readDir(folder)) {
    if (isDirectory) yield* sources(new URL(`${name}/`, folder));
    else if (name.endsWith(".ts")) yield new URL(name, folder);
  }
}
