/** The program and the options of a custom network, without running it. */

import assert from "node:assert/strict";
import { join } from "node:path";
import {
  decodeSources,
  encodeSources,
  readSources,
  sourcesDigest,
} from "../../../experiments/networks/module_sources.ts";
import { chosenOptions, optionRows } from "../../../experiments/networks/network_options.ts";
import { testInFolder } from "../../folder.ts";
import { library } from "./modules.ts";

testInFolder("readSources() reads a module and what it imports, also through a link", async (folder) => {
  const real = join(folder, "real");
  await Deno.mkdir(real);
  await Deno.writeTextFile(join(real, "net.ts"), `import "./part.ts"; import { gelu } from "${library}";`);
  const others =
    'import "npm:some-package@1"; import "npm:@flow/matching-more"; import "https://example.org/mod.ts";';
  await Deno.writeTextFile(join(real, "part.ts"), `import "npm:@flow/matching@1.2.3/models"; ${others}`);
  await Deno.symlink(join(real, "net.ts"), join(folder, "link.ts"));
  const sources = readSources(join(folder, "link.ts"));
  assert.deepEqual(sources, {
    main: "net.ts",
    files: {
      "net.ts": 'import "./part.ts"; import { gelu } from "flow-matching";',
      "part.ts": `import "flow-matching"; ${others}`,
    },
  });
  assert.deepEqual(decodeSources(encodeSources(sources), "network.json"), sources);
  const digest = await sourcesDigest(sources);
  await Deno.writeTextFile(join(real, "part.ts"), "export {};");
  assert.notEqual(await sourcesDigest(readSources(join(real, "net.ts"))), digest);

  await Deno.writeTextFile(join(real, "part.ts"), `//${"x".repeat(2 ** 20)}`);
  const message =
    /^Cannot use \S*link\.ts: it and its imports have \d{7} bytes \(expected at most 1048576\)$/;
  assert.throws(() => readSources(join(folder, "link.ts")), { name: "ConfigError", message });
});

Deno.test("decodeSources() refuses text that is not the program of a network", () => {
  const others = ["", "5", "null", "{}", '{"main": "a.ts", "files": {}}', '{"files": {"a.ts": ""}}'];
  for (const text of [...others, '{"main": "a.ts", "files": {"a.ts": 1}}']) {
    const message =
      /^Cannot use network\.json: it is not the program of a network \(expected the network\.json/;
    assert.throws(() => decodeSources(text, "network.json"), { name: "ConfigError", message }, text);
  }
});

Deno.test("options of a network are read as their defaults say", () => {
  const rows = optionRows({
    hidden: 256,
    drop: 0,
    residual: true,
    act: ["gelu", "relu"],
    widths: [16, 32],
    title: "plain",
    depth: { default: 2, doc: "blocks" },
  }, "mine.ts");
  assert.equal(rows.depth.doc, "blocks");
  const chosen = (given: Record<string, string>) =>
    chosenOptions({ file: "mine.ts", options: new Map(Object.entries(given)) }, rows);
  const defaults = {
    ...{ hidden: 256, drop: 0, residual: true, act: "gelu", widths: [16, 32], title: "plain", depth: 2 },
  };
  assert.deepEqual(chosen({}), defaults);
  assert.deepEqual(
    chosen({ drop: "0.5", residual: "false", act: "relu", widths: "8,4", title: "x y", depth: "3" }),
    { ...defaults, drop: 0.5, residual: false, act: "relu", widths: [8, 4], title: "x y", depth: 3 },
  );
  const refused = { hidden: "0", drop: "much", residual: "maybe", act: "tanh", widths: "8,x", depth: "1.5" };
  for (const [name, text] of Object.entries(refused)) {
    assert.throws(() => chosen({ [name]: text }), { name: "ConfigError" }, name);
  }
});
