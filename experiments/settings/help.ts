import { flagOf, type Rows } from "./setting.ts";

const column = 32;
/** Longest line of the right column. */
const width = 78;

/**
 * The text of `--help`: a line for every setting, with its default.
 *
 * @param usage the command, e.g. `deno task train`
 * @param rows the settings by name
 * @param preset defaults that override those of the table, by name
 * @param headings what to print above a setting, by its name
 */
export function helpText(
  usage: string,
  rows: Rows,
  preset: Readonly<Record<string, unknown>>,
  headings: Readonly<Record<string, string | undefined>>,
): string {
  const lines = Object.entries(rows).flatMap(([name, setting]) => {
    const flag = flagOf(name);
    const left = setting.hint === undefined
      ? `${flag}, ${flag.replace("--", "--no-")}`
      : `${flag} ${setting.hint}`;
    const right = [...setting.doc.split(" "), ...remark(preset[name] ?? setting.default)];
    const details = (setting.details ?? []).map((line) => " ".repeat(column) + line);
    return [...(headings[name] ? ["", headings[name]] : []), ...columns(left, right), ...details];
  });
  const end = ["", ...columns("-h, --help", ["print this text"])];
  return [`Usage: ${usage} [flags]`, ...(lines[0] === "" ? [] : [""]), ...lines, ...end].join("\n");
}

function columns(left: string, right: readonly string[]): string[] {
  const [first, ...rest] = wrapped(right).map((line) => " ".repeat(column) + line);
  if (left.length + 2 > column - 2) return [`  ${left}`, first, ...rest];
  return [`  ${left}`.padEnd(column) + first.slice(column), ...rest];
}

/** Lines that fit the right column, broken between words. */
function wrapped(words: readonly string[]): string[] {
  const lines: string[] = [];
  for (const word of words) {
    const longer = `${lines.at(-1)} ${word}`;
    if (lines.length > 0 && longer.length <= width) lines[lines.length - 1] = longer;
    else lines.push(word);
  }
  return lines;
}

/** What stands after the words on a setting, all in one line. */
function remark(value: unknown): string[] {
  if (value === null) return [];
  if (value === undefined) return ["(required)"];
  if (typeof value === "boolean") return [`(default: ${value ? "on" : "off"})`];
  return [`(default: ${value})`];
}
