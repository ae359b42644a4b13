import assert from "node:assert/strict";
import { cp } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { notebooks } from "./notebooks.ts";
import { withCacheFolder } from "./folder.ts";
import { isShort, testNeeding, toConnect } from "./permissions.ts";

const root = fileURLToPath(new URL("..", import.meta.url));
/** Files and folders that the commands of CONTRIBUTING.md may need. */
const copied = [
  ..."mod.ts cli.ts kernels models viz web playground experiments tools examples".split(" "),
  ...["deno.json", "deno.lock", "checkpoints", "tests", "README.md", "docs"],
];

/** Code blocks of a Markdown text: language and content. */
function blocksOf(markdown: string): { readonly language: string; readonly text: string }[] {
  const fences = markdown.matchAll(/^(`{3,})(\w+)[^\n]*\n(.*?\n)\1$/gms);
  return Array.from(fences, ([, , language, text]) => ({ language, text }));
}

/** Applies a change written as `--- file` and lines that begin with a space, a plus or a minus; returns the file. */
async function change(folder: string, diff: string): Promise<string> {
  const [, name, body] = /^--- (\S+)\n(.*)$/s.exec(diff) ?? assert.fail(diff);
  const side = (drop: string) =>
    body.split("\n").filter((line) => !line.startsWith(drop)).map((line) => line.slice(1)).join("\n");
  const path = join(folder, name);
  const before = await Deno.readTextFile(path);
  const parts = before.split(side("+"));
  assert.equal(parts.length, 2, `${name} holds once:\n${side("+")}`);
  await Deno.writeTextFile(path, parts.join(side("-")));
  return name;
}

/** Writes the cells of the notebooks as modules, so that their types are checked. */
async function writeCells(folder: string): Promise<void> {
  await Deno.mkdir(join(folder, "notebooks"));
  for (const notebook of notebooks) {
    const cells: readonly { readonly cell_type: string; readonly source: readonly string[] }[] =
      JSON.parse(await Deno.readTextFile(join(root, notebook))).cells;
    const code = cells.filter(({ cell_type }) => cell_type === "code").map(({ source }) => source.join(""));
    await Deno.writeTextFile(join(folder, notebook.replace("ipynb", "ts")), code.join("\n"));
  }
}

testNeeding(
  toConnect,
  "CONTRIBUTING.md works when followed to the letter, and its types fit",
  () =>
    withCacheFolder("contributing", async (folder) => {
      const succeed = async (...args: string[]) => {
        const how = { args, cwd: folder, env: { NO_COLOR: "1" } };
        const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), how).output();
        const [said, errors] = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes));
        assert.ok(success, `deno ${args.join(" ")}\n${said}${errors}`);
        return said;
      };
      for (const name of copied) await cp(join(root, name), join(folder, name), { recursive: true });
      const commands: string[] = [];
      const touched = new Set<string>();
      for (const { language, text } of blocksOf(await Deno.readTextFile(join(root, "CONTRIBUTING.md")))) {
        if (language === "diff") touched.add(await change(folder, text));
        if (language === "ts") {
          const [, name, code] = /^\/\/ (\S+)\n(.*)$/s.exec(text) ?? assert.fail(text);
          await Deno.mkdir(dirname(join(folder, name)), { recursive: true });
          await Deno.writeTextFile(join(folder, name), code);
          touched.add(name);
        }
        if (language !== "sh") continue;
        const [, ...args] = text.trim().split(" ");
        commands.push(args.slice(0, 2).join(" "));
        if (args[0] === "test" && args[1] !== "--doc") args.splice(1, 0, "--no-check"); // types are checked at the end
        const said = await succeed(...args);
        if (args[0] === "test") assert.match(said, /ok \| [1-9]\d* passed.* \| 0 failed/);
        const line = /^Trajectories are 1\.\d+ times as long as a straight line\n$/;
        if (args[1] === "straightness") assert.match(said, line);
      }
      assert.ok(commands.length >= 6 && commands.includes("task straightness"), `${commands}`);
      await succeed("fmt", "--check", ...touched);
      const modules = [...touched].filter((name) => name.endsWith(".ts"));
      await succeed("lint", ...modules);
      if (isShort) return;
      await writeCells(folder);
      await succeed("check", "mod.ts", "cli.ts", "notebooks", ...modules); // all else is as `deno task ok` checks it
      await succeed("doc", "--lint", "kernels/mod.ts", "models/mod.ts", "viz/mod.ts");
    }),
);
