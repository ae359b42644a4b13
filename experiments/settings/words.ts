/** A command line of words followed by flags. */
export interface Words {
  readonly words: readonly string[];
  /** From the first flag on. */
  readonly flags: readonly string[];
}

/** Splits `show RUN --json` into its words and its flags. */
export function splitWords(argv: readonly string[]): Words {
  const first = argv.findIndex((word) => word.startsWith("-"));
  const end = first < 0 ? argv.length : first;
  return { words: argv.slice(0, end), flags: argv.slice(end) };
}
