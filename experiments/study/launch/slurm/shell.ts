import { ConfigError } from "../../../settings/setting.ts";

/** A word of bash: what it stands for is the text, whatever is in it. */
export function shellWord(text: string): string {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}

/** A command of bash with its arguments. */
export function shellCommand(words: readonly string[]): string {
  return words.map(shellWord).join(" ");
}

/** A line that sbatch reads as an option; `value` must have no quote and no control character. */
export function directive(option: string, value?: string | number | null): string[] {
  if (value === null) return [];
  if (value === undefined) return [`#SBATCH --${option}`];
  const text = String(value);
  return [`#SBATCH --${option}=${/^[\w@%+=:,./-]+$/.test(text) ? text : `"${text}"`}`];
}

/**
 * A path for an option of sbatch that gives a meaning to `%`.
 *
 * @throws {ConfigError} if sbatch cannot be told the path
 */
export function sbatchPath(path: string): string {
  if (!/["\\\p{Cc}]/u.test(path)) return path.replaceAll("%", "%%");
  throw new ConfigError(
    `Cannot submit the study in ${
      JSON.stringify(path)
    }: a quote, a backslash or a control character is in its path, ` +
      "which sbatch cannot be told (expected a path without them)",
  );
}
