import assert from "node:assert/strict";
import { circles, type Import, importsFrom, reachedFrom } from "./module_graph.ts";
import { testNeeding } from "./permissions.ts";

const at = (from: string, to: string, runtime = true): Import => ({
  from,
  to,
  specifier: `./${to}`,
  runtime,
});

Deno.test("circles() names each circle of imports at run time once", () => {
  const found = circles([at("c", "a"), at("a", "b"), at("b", "c"), at("b", "a"), at("c", "d"), at("e", "e")]);
  assert.deepEqual(found, ["a -> b -> a", "a -> b -> c -> a", "e -> e"]);
  assert.deepEqual(circles([at("a", "b"), at("b", "a", false)]), []);
});

Deno.test("reachedFrom() follows imports over any number of steps", () => {
  const reached = reachedFrom(["a"], [at("c", "d"), at("a", "b"), at("b", "c", false), at("x", "a")]);
  assert.deepEqual([...reached], ["a", "b", "c", "d"]);
});

testNeeding(
  { read: true, write: true, run: true },
  "importsFrom() sees modules, cells of notebooks, scripts of pages, texts and types",
  async () => {
    const imports = await importsFrom([
      "notebooks/digits.ipynb",
      "examples/sample_in_page.html",
      "kernels/mod.ts",
      "viz/report/page/main.ts",
    ]);
    const sees = (from: string, to: string, runtime: boolean) => {
      assert.ok(
        imports.some((i) => i.from === from && i.to === to && i.runtime === runtime),
        `${from} -> ${to}`,
      );
    };
    sees("notebooks/digits.ipynb", "mod.ts", true);
    sees("examples/sample_in_page.html", "web/flow.js", true);
    sees("kernels/ops/group_norm/op.ts", "kernels/ops/group_norm/forward.wgsl", true);
    sees("viz/report/page/main.ts", "viz/report/payload.ts", false);
  },
);
