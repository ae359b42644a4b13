import type { RunSummary } from "./store.ts";

/** A run for scripts: its settings are numbers, lists and switches again, not the texts that a server keeps of them. */
export function runJson({ params, ...run }: RunSummary): Record<string, unknown> {
  const values = Object.entries(params).map(([name, text]) => [name, valueOf(text)]);
  return { ...run, params: Object.fromEntries(values) };
}

/** The value whose JSON a text is, to the letter; else the text. */
function valueOf(text: string): unknown {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value !== "string" && JSON.stringify(value) === text ? value : text;
  } catch {
    return text; // a word
  }
}
