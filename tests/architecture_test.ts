import assert from "node:assert/strict";
import settings from "../deno.json" with { type: "json" };
import { browserPrograms, generated } from "../tools/bundle.ts";
import { filesBelow, type Import, importsFrom, inCircles, reachedFrom, textOf } from "./module_graph.ts";
import { testNeeding, toRun } from "./permissions.ts";

/** Imports that each part of the repository may use besides its own; docs/layout.md draws the same arrows. */
const arrows: Record<string, readonly string[]> = {
  kernels: [],
  viz: [],
  models: ["kernels"],
  "mod.ts": ["kernels", "models", "viz"],
  web: ["kernels", "models", "viz"],
  playground: ["kernels", "viz", "web"],
  experiments: ["kernels", "models", "viz", "web", "playground"],
  "cli.ts": ["experiments"],
  examples: ["mod.ts", "kernels", "web", "experiments"],
  notebooks: ["mod.ts", "experiments"],
};

/** Folders with the code of the library and the tasks; all others demonstrate, test or build it. */
const product = ["kernels", "models", "viz", "web", "playground", "experiments"];

/** Reports may import only types of `models/`, which load nothing at run time. */
const isOfTypes = ({ from, to, runtime }: Import) =>
  !runtime && from.startsWith("viz/report/") && to?.startsWith("models/");

const partOf = (path: string) => path.split("/")[0];
const under = async (folders: readonly string[], type: RegExp) =>
  (await Promise.all(folders.map((folder) => filesBelow(`${folder}/`)))).flat()
    .filter((path) => type.test(path));

/** Modules that programs start with: exports of the package, tasks, and entries of `tools/`. */
const entries = [
  ...Object.values(settings.exports).map((path) => path.slice(2)),
  ...Object.values(settings.tasks).flatMap(({ command }) => command.match(/[\w/]+\.ts\b/g) ?? []),
  ...Object.values(browserPrograms),
  ...await Array.fromAsync(
    Deno.readDir(new URL("../kernels/devices/cpu/assembly/kernels/", import.meta.url)),
    ({ name }) => `kernels/devices/cpu/assembly/kernels/${name}`,
  ),
  "kernels/devices/cpu/assembly/program.ts",
];

let read: Promise<Import[]> | undefined;

/** All imports in the repository, including notebooks and pages. */
function allImports(): Promise<Import[]> {
  return read ??= filesBelow("./", ["runs", "node_modules", "coverage", "playground.html", "report.html"])
    .then((files) => importsFrom(files.filter((path) => /\.([jt]s|html|ipynb)$/.test(path))));
}

testNeeding(toRun, "imports follow the arrows of docs/layout.md, and every arrow is used", async () => {
  const crossing = (await allImports()).filter((each) => !isOfTypes(each))
    .flatMap(({ from, to }) => to ? [{ from, to, arrow: [partOf(from), partOf(to)] as const }] : [])
    .filter(({ arrow: [from, to] }) => ![to, "tests", "tools"].includes(from) && to !== "deno.json");
  const against = crossing.filter(({ arrow: [from, to] }) => !arrows[from]?.includes(to));
  assert.deepEqual(against.map(({ from, to }) => `${from} imports ${to}`), []);
  const used = new Set(crossing.map(({ arrow }) => arrow.join(" -> ")));
  const allowed = Object.entries(arrows).flatMap(([from, targets]) =>
    targets.map((to) => `${from} -> ${to}`)
  );
  assert.deepEqual([...used].sort(), allowed.sort());
});

testNeeding({ read: true }, "docs/layout.md draws the same arrows as this test", async () => {
  const [, diagram] = /^```text\n(.*?)^```$/ms.exec(await textOf("docs/layout.md")) ??
    assert.fail("docs/layout.md has no diagram");
  const drawn = diagram.trimEnd().split("\n").map((line) => {
    const [, from, targets] = /^(\S+) +-> (.+)$/.exec(line) ?? assert.fail(`not an arrow: ${line}`);
    return [from, targets === "nothing" ? [] : targets.split(", ")];
  });
  assert.deepEqual(Object.fromEntries(drawn), arrows);
});

testNeeding(toRun, "no modules import each other in a circle", async () => {
  const imports = await allImports();
  assert.deepEqual(inCircles(imports), []);
  // The same at run time for rooms, the folders of models/ and experiments/.
  const room = (path: string) => path.split("/").slice(0, 2).join("/");
  const between = imports.filter(({ runtime }) => runtime).flatMap(({ from, to, ...rest }) =>
    [from, to].every((path) => /^(models|experiments)\//.test(path ?? "")) && room(from) !== room(to!)
      ? [{ from: room(from), to: room(to!), ...rest }]
      : []
  );
  assert.deepEqual(inCircles(between), []);
});

/** Most modules of `experiments/` that `train` loads before it begins. */
const mostModules = 45;

testNeeding(toRun, `train loads at most ${mostModules} modules of experiments`, async () => {
  const program = "experiments/train.ts";
  const loaded = (await importsFrom([program])).filter(({ runtime, dynamic }) => runtime && !dynamic);
  const modules = [...reachedFrom([program], loaded)].filter((path) => path.startsWith("experiments/"));
  assert.ok(modules.length <= mostModules, `${modules.length}: ${modules.join(", ")}`);
});

/** What reads a setting from text. */
const parsers = ["makeSolver", "chooseVariant", "parseNetwork", "readStages", "pairsAfter", "numbersOf"];
/** Where settings are read: command lines, `config.json`, and plans of studies. */
const edge = /^experiments\/(cli|settings)\/|^experiments\/study\/(find_)?plan\.ts$/;

testNeeding({ read: true }, "settings are read from text only at the edge", async () => {
  const found: string[] = [];
  for (const path of (await under(["experiments"], /\.ts$/)).filter((path) => !edge.test(path))) {
    const text = await textOf(path);
    for (const [, names] of text.matchAll(/^import \{([^}]*)\} from/gm)) {
      const used = parsers.filter((name) => RegExp(`\\b${name}\\b`).test(names));
      found.push(...used.map((name) => `${path} imports ${name}`));
    }
    if (/rows\.\w+\.read\b/.test(text)) found.push(`${path} calls read() of a setting`);
  }
  assert.deepEqual(found, []);
});

testNeeding(toRun, "every module is reached from an export, a task, a test or a command", async () => {
  const modules = await under(product, /\.(ts|js)$/);
  const programs = [...entries, ...await under(["notebooks"], /\.ipynb$/)];
  assert.deepEqual((await unreachedFrom(programs, modules)).filter((path) => !(path in generated)), []);
  const sources = await under(["tests", "tools"], /\.ts$/);
  const texts = await Promise.all([...sources, ...await under(["tests"], /\.md$/)].map(textOf));
  const commands = texts.join("\n")
    .matchAll(/deno (?:run|test) [^`]{0,200}?\b((?:tests|tools)\/[\w/]+\.ts)\b/g);
  const tests = sources.filter((path) => path.endsWith("_test.ts"));
  const used = [...entries, ...tests, ...Array.from(commands, ([, path]) => path)];
  assert.deepEqual(await unreachedFrom(used, sources), []);
});

/** The files that no program imports. */
async function unreachedFrom(programs: readonly string[], files: readonly string[]): Promise<string[]> {
  const reached = reachedFrom(programs, await importsFrom(programs));
  return files.filter((path) => !reached.has(path));
}

testNeeding(toRun, "library modules use relative, node: or pinned npm: specifiers only", async () => {
  for (const { from, specifier } of await allImports()) {
    if (!["mod.ts", "kernels", "models", "viz", "web", "playground"].includes(partOf(from))) continue;
    const pinned = /^(\.\.?\/|node:|npm:(@[\w-]+\/)?[\w.-]+@\d+\.\d+\.\d+($|\/))/;
    assert.match(specifier, pinned, `${from} imports "${specifier}"`);
  }
});

testNeeding(
  { read: true },
  "no module imports text, for JSR, or touches Deno where browsers run it",
  async () => {
    for (const path of ["mod.ts", ...await under(product, /\.[jt]s$/)]) {
      if (path in generated) continue;
      const text = await textOf(path);
      assert.doesNotMatch(text, /\bwith:? \{ type: "(?!json")/, path);
      if (path.startsWith("experiments/") || !path.endsWith(".ts")) continue;
      assert.doesNotMatch(text.replace(/\/\*[\s\S]*?\*\/|\/\/.*/g, ""), /\bDeno\./, path);
    }
  },
);
