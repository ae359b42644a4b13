/** What tasks print. Names, settings and answers come from files and servers, so nothing else writes to a terminal. */

const controls = /[\p{Cc}\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/gu;

/**
 * Text that a terminal shows and does not obey: control characters, and those that turn the direction of writing, become
 * escapes as in JSON.
 */
export function printable(text: string): string {
  return text.replaceAll(controls, (character) => {
    return `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`;
  });
}

/** Prints a result, of one or more lines. */
export function print(text: string): void {
  console.log(linesOf(text));
}

/** Prints a message to the standard error stream. */
export function say(text: string): void {
  console.error(linesOf(text));
}

function linesOf(text: string): string {
  return text.split("\n").map(printable).join("\n");
}
