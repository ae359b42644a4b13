import { fileURLToPath } from "node:url";

const root = new URL("../../../../", import.meta.url);

/**
 * The command of the study task for any working folder, with the permissions of `deno.json`.
 *
 * @param folder the study's, an absolute path that the command may also write
 */
export function studyCommand(folder: string): string[] {
  const text = Deno.readTextFileSync(new URL("deno.json", root));
  const { tasks } = JSON.parse(text) as { tasks: { study: { command: string } } };
  const inRepository = (path: string) => fileURLToPath(new URL(path, root));
  const [, ...words] = tasks.study.command.split(" ");
  const found = words.map((word) =>
    word.startsWith("--lock=")
      ? `--lock=${inRepository(word.slice("--lock=".length))}`
      : word.endsWith(".ts")
      ? inRepository(word)
      : word
  );
  const script = found.findIndex((word) => word.endsWith(".ts"));
  // Deno splits paths at commas, and takes two for one.
  const mayWrite = `--allow-write=${folder.replaceAll(",", ",,")}`;
  return [Deno.execPath(), ...found.toSpliced(script, 0, mayWrite), folder];
}
