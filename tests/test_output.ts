/** What `deno test` prints, made fit to stand among what other programs print at the same time. */

import { stripVTControlCharacters as plain } from "node:util";

/** How tests ended. */
export interface Totals {
  readonly passed: number;
  readonly failed: number;
  readonly ignored: number;
}

/** The numbers in a summary such as `ok | 12 passed (3 steps) | 0 failed | 1 ignored (2s)`; zeros in other texts. */
export function totalsIn(text: string): Totals {
  const summary = /^(ok|FAILED) \| .*$/m.exec(plain(text))?.[0] ?? "";
  const count = (what: string) => Number(new RegExp(`(\\d+) ${what}`).exec(summary)?.[1] ?? 0);
  return { passed: count("passed"), failed: count("failed"), ignored: count("ignored") };
}

/**
 * Lines, or several lines that belong together.
 *
 * @param place what stands before each test; by default the file that Deno names
 */
export async function* shownLines(text: AsyncIterable<string>, place?: string): AsyncGenerator<string> {
  let file = "", name = "";
  let block: string[] | undefined;
  for await (const line of linesOf(text)) {
    // Errors follow the last test; what a test prints itself stands between two marks.
    if (block || /^(\s*ERRORS\s*|-+ (post-test )?output -+)$/.test(plain(line))) {
      block = [...block ?? [], line];
      if (/^-+ (post-test )?output end -+$/.test(plain(line))) {
        yield block.join("\n");
        block = undefined;
      }
      continue;
    }
    const header = /^running \d+ tests? from (.*)$/.exec(plain(line));
    const begun = /^(\S.*?) \.\.\./.exec(plain(line));
    if (header) file = place ?? header[1];
    else if (begun) {
      name = begun[1];
      yield `${file} => ${line}`;
    } else if (name !== "" && /^ (ok|FAILED|ignored)\b/.test(plain(line))) {
      yield `${file} => ${name} ...${line}`;
    } else if (line.trim() !== "") yield line;
  }
  if (block) yield block.join("\n");
}

async function* linesOf(text: AsyncIterable<string>): AsyncGenerator<string> {
  let rest = "";
  for await (const part of text) {
    const lines = (rest + part).split("\n");
    rest = lines.pop()!;
    yield* lines;
  }
  if (rest !== "") yield rest;
}
