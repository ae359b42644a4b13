import assert from "node:assert/strict";
import { integer, line } from "../../../experiments/cli/kinds.ts";
import { defineSettings, flagOf, written } from "../../../experiments/cli/settings.ts";
import { scriptOf, tasks } from "../../../experiments/tasks.ts";
import { taskNamed, taskNames, testTask } from "../cli.ts";
import { printable } from "../../../experiments/cli/output.ts";
import { filesBelow, textOf } from "../../module_graph.ts";
import { testNeeding } from "../../permissions.ts";

testTask("Task.help() has a line for every flag of every task, with its default", async (place) => {
  for (const name of taskNames) {
    const { code, stdout } = await place.run(name, "--help all");
    assert.equal(code, 0);
    const { settings: { rows } } = await taskNamed(name);
    if ("device" in rows && name !== "doctor") assert.ok("threads" in rows, `${name} has no --threads`);
    const words = "( [A-Z[|.=\\]\\sa-z]+)? \\[flags\\]\n[A-Z].*[^.]\n";
    assert.match(stdout, new RegExp(`^Usage: \\S+/denow task ${name}${words}`));
    const lines = stdout.replaceAll(/\n {20,}/g, " ").split("\n"); // a long flag has its meaning on the next line
    for (const [row, { doc, default: value }] of Object.entries(rows)) {
      const line = lines.find((line) => line.trimStart().split(/[ ,]/)[0] === flagOf(row)) ?? "";
      assert.ok(line.includes(doc), `${name}: ${flagOf(row)} is missing: ${stdout}`);
      const hasPreset = name.startsWith("train") || name === "distill"; // whose defaults it shows
      if (hasPreset || value === undefined || value === null) continue;
      const words = written(rows[row], value);
      const shown = typeof words === "boolean" ? (words ? "on" : "off") : words;
      assert.ok(line.includes(` (default: ${shown})`), line);
    }
    const [, ...below] = stdout.split("\n");
    const isExample = (line: string) => /^ {2}\S+\/denow task /.test(line); // its folder may be long
    assert.deepEqual(below.filter((line) => line.length > 80 && !isExample(line)), [], name);
    const task = await taskNamed(name);
    for (const example of below.filter(isExample)) task.parse(example.trim().split(" ").slice(3));
    if (["train", "distill", "sample", "evaluate"].includes(name)) {
      assert.equal(below.filter(isExample).length, 3, name);
    }
    assert.match(stdout, /\n {2}-h, --help /);
  }
});

Deno.test("Settings.help() leaves out rare settings and their headings, unless all are asked for", () => {
  const table = defineSettings({
    size: integer({ doc: "size", default: 3 }),
    speed: integer({ doc: "speed", default: 4, rare: true }),
    shade: line("NAME", "shade", { rare: true }),
    colour: line("NAME", "colour"),
  }, { speed: "Motion", shade: "Look" });
  const linesOf = (all: boolean) => table.help("things", "Make things", {}, all).split("\n").slice(2);
  const size = "  --size N                size (default: 3)";
  const shade = "  --shade NAME            shade (required)";
  const colour = "  --colour NAME           colour (required)";
  const help = "  -h, --help              print this text";
  assert.deepEqual(linesOf(true), [
    ...["", size, "", "Motion", "  --speed N               speed (default: 4)"],
    ...["", "Look", shade, colour, "", help],
  ]);
  const more = "  --help all              show 2 more flags";
  assert.deepEqual(linesOf(false), ["", size, "", "Look", colour, "", help, more]);
  const asked = (...argv: string[]) => [table.parse(argv, true).help, ...table.parse(argv, true).words];
  assert.deepEqual(asked("--help"), ["usual"]);
  assert.deepEqual(asked("a", "-h"), ["usual", "a"]);
  assert.deepEqual(asked("--help", "all"), ["all"]);
  assert.deepEqual(asked("-h", "all"), ["all"]);
  assert.deepEqual(asked("--help=all", "all"), ["all", "all"]);
});

Deno.test("train --help shows about 25 flags, and only distill has those of a distillation", async () => {
  const train = await (await taskNamed("train")).help({
    model: { kind: "unet", name: "base" },
    preset: "quick",
  });
  const count = train.match(/^ {2}--(?!help)/gm)!.length;
  assert.ok(count >= 20 && count <= 30, `${count}`);
  const paper = await (await taskNamed("train")).help({ preset: "paper" });
  assert.match(paper, /\n {2}--batch-size N +images per step \(default: 256\)\n/);
  for (const name of ["teacher", "stages", "teacherGuidance", "maxGuidance"]) {
    assert.ok(!(name in (await taskNamed("train")).settings.rows), name);
    assert.equal(name in (await taskNamed("distill")).settings.rows, name !== "teacher");
  }
});

testTask("every task starts with permission to read, and the flags in deno.json are valid", async (place) => {
  const root = new URL("../../../", import.meta.url);
  const deno = async (...args: string[]) => {
    const how = { args: ["run", "-q", ...args], cwd: root, env: { NO_COLOR: "1" } };
    const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), how).output();
    const [out, err] = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes));
    assert.deepEqual([code, err], [0, ""], args.join(" "));
    return out;
  };
  const common = ["--lock=deno.lock", "--config=deno.json"];
  const rows = tasks.filter(({ load }) => load);
  for (const rights of new Set(rows.map(({ rights }) => rights!))) {
    assert.match(rights, /--allow-read\b/);
    assert.equal(await deno(...rights.split(" "), ...common, "data:text/javascript,"), "");
  }
  // One program for all tasks, with less than the permissions of any of them.
  const program = `import { Task } from "${new URL("experiments/cli/task.ts", root)}";
for (const script of Deno.args) {
  await Object.values(await import(script)).find((value) => value instanceof Task).run(["--help"]);
}
`;
  await place.write("help.ts", program);
  const scripts = rows.map((row) => new URL(scriptOf(row)[0], root).href);
  const shown = await deno("--allow-read=.", ...common, place.file("help.ts"), ...scripts);
  const help = await Promise.all(taskNames.map(async (name) => (await taskNamed(name)).help({})));
  assert.equal(shown, help.join("\n") + "\n");
});

Deno.test("printable() escapes control characters, and keeps other text", () => {
  const cases = {
    "\x1b[2J": "\\u001b[2J",
    "\x9b31m\x07\r\n\x7f": "\\u009b31m\\u0007\\u000d\\u000a\\u007f",
    "a\u202eb\u2066": "a\\u202eb\\u2066",
    "ümläut 数 👩‍🔬": "ümläut 数 👩‍🔬",
  };
  for (const [text, shown] of Object.entries(cases)) assert.equal(printable(text), shown);
  // Escapes are valid in JSON, so JSON keeps its meaning.
  assert.equal(JSON.parse(printable(JSON.stringify("\x1b\x9b\u202e"))), "\x1b\x9b\u202e");
});

testNeeding({ read: true }, "only print() and say() in experiments/ write to the console", async () => {
  for (const path of await filesBelow("experiments/")) {
    if (!path.endsWith(".ts") || path === "experiments/cli/output.ts") continue;
    const code = (await textOf(path)).replace(/\/\*[\s\S]*?\*\/|\/\/.*/g, "");
    assert.doesNotMatch(code, /\bconsole\./, path);
  }
});
