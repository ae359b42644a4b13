/** The rows of tasks in `deno.json` and in the tables of the docs, from the list in `experiments/tasks.ts`. */

import { commandOf, scriptOf, type TaskRow, tasks } from "../experiments/tasks.ts";

const root = new URL("../", import.meta.url);

/** The tasks of `deno.json`. */
export function taskCommands(): Record<string, { readonly description: string; readonly command: string }> {
  return Object.fromEntries(
    tasks.map((task) => [task.name, { description: task.about, command: commandOf(task) }]),
  );
}

/** The permissions of a task, without what they have in common. */
const permissionsOf = ({ rights = "" }: TaskRow) =>
  rights.replaceAll(/--allow-|-P=/g, "").replaceAll(" ", ", ");

/** The tasks by their permissions. Those of tests and tools may do what their programs do. */
const byPermissions = Map.groupBy(
  tasks.filter((task) => task.rights && scriptOf(task)[0].startsWith("experiments/")),
  permissionsOf,
);

/** The tables of tasks, by page: headings and cells. */
export const taskTables: Readonly<Record<string, readonly (readonly string[])[]>> = {
  "README.md": [
    ["task", "what it does"],
    ...tasks.map(({ name, page, about }) => [`[\`${name}\`](${page})`, about]),
  ],
  "docs/security.md": [
    ["tasks", "permissions"],
    ...Array.from(byPermissions, ([permissions, tasks]) => [
      tasks.map(({ name }) => `\`${name}\``).join(", "),
      permissions,
    ]),
  ],
};

/** The table of tasks in a page. */
export const taskTable = /^\| tasks? .*\n(?:\|.*\n)+/m;

/** Writes all rows, and formats the files. */
export async function writeTaskRows(): Promise<void> {
  const config = JSON.parse(await Deno.readTextFile(new URL("deno.json", root)));
  await Deno.writeTextFile(
    new URL("deno.json", root),
    JSON.stringify({ ...config, tasks: taskCommands() }, null, 2) + "\n",
  );
  for (const [page, [headings, ...rows]] of Object.entries(taskTables)) {
    const lines = [headings, headings.map(() => "---"), ...rows].map((cells) => `| ${cells.join(" | ")} |\n`);
    const text = await Deno.readTextFile(new URL(page, root));
    await Deno.writeTextFile(new URL(page, root), text.replace(taskTable, () => lines.join("")));
  }
  const args = ["fmt", "-q", "deno.json", ...Object.keys(taskTables)];
  await new Deno.Command(Deno.execPath(), { args, cwd: root }).spawn().status;
}
