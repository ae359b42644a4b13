import assert from "node:assert/strict";
import { importsFrom, reachedFrom } from "./module_graph.ts";
import { testNeeding } from "./permissions.ts";
import settings from "../deno.json" with { type: "json" };

// A registry would also check that the name is free, the version is new and the npm packages exist.
testNeeding(
  { read: true, write: true, run: true },
  "deno publish --dry-run finds no problem, and packs every file that the exports need",
  async () => {
    const { success, stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["publish", "--dry-run", "--allow-dirty", "--no-lock"],
      cwd: new URL("..", import.meta.url),
      env: { NO_COLOR: "1" },
    }).output();
    const said = new TextDecoder().decode(stderr);
    assert.ok(success, said);
    // Reports import the library from a `blob:` address, which cannot be rewritten.
    const warnings = Array.from(said.matchAll(/^warning\[([\w-]+)\].*\n --> .*?(\w+\/\w+\.\w+):/gm));
    assert.deepEqual(warnings.map(([, name, file]) => `${name} in ${file}`), [
      "unanalyzable-dynamic-import in report/page.js",
    ]);
    const root = new URL("..", import.meta.url).href;
    const packed = Array.from(
      said.matchAll(/^ +(file:.*) \([\d.]+\w+\)$/gm),
      ([, url]) => url.slice(root.length),
    );
    const exports = Object.values(settings.exports).map((path) => path.slice(2));
    const needed = [
      ...reachedFrom(exports, await importsFrom(exports)),
      "web/flow.js",
      "README.md",
      "LICENSE",
    ];
    assert.deepEqual(needed.filter((path) => !packed.includes(path)), []);
    assert.deepEqual(packed.filter((path) => /^(tests|experiments|tools|docs)\//.test(path)), []);
  },
);
