/** The only parser of server addresses: it decides where data is sent and which part of an address may be shown. */

import { checkout, startCommand } from "./program_files.ts";

/**
 * Parses the address of a server.
 *
 * @returns undefined if it is not an address, or if an `@` after the host makes it unclear where credentials end
 */
export function serverUrl(text: string): URL | undefined {
  const url = URL.parse(text);
  if (url === null || !/^https?:$/.test(url.protocol)) return undefined;
  return /@|%40/.test(url.pathname + url.search + url.hash) ? undefined : url;
}

/** Whether an address names a user or a password. */
export function hasCredentials(text: string): boolean {
  const url = serverUrl(text);
  return url !== undefined && url.username + url.password !== "";
}

/**
 * The part of an address that is safe to show: no user, password, query or fragment.
 *
 * @returns an empty text if it cannot be parsed, because any part may be secret
 */
export function shownAddress(text: string): string {
  const url = serverUrl(text);
  return url ? url.origin + url.pathname.replace(/\/+$/, "") : "";
}

const mayBeAddress = /\w\w:[\\/]|:.*@|[?&#]\w*(token|key|password|secret)\w*=/i;

/** A word of a command line as it may be shown: addresses without credentials, `***` if one cannot be parsed. */
export function shownWord(word: string): string {
  return mayBeAddress.test(word) ? shownAddress(word) || "***" : word;
}

/** A task's command line as it may be stored and pasted: `deno task train:base --lr 0.001`. */
export function taskCommand(task: string, argv: readonly string[]): string {
  const quoted = (word: string) =>
    /^[\w./:=,@%+-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
  const start = checkout === undefined ? startCommand(task) : `deno task ${task}`;
  return [start, ...shownWords(argv).map(quoted)].join(" ");
}

/** A command line as it may be stored: the value of `--mlflow` always counts as an address. */
export function shownWords(argv: readonly string[]): string[] {
  return argv.map((word, i) => {
    if (argv[i - 1] === "--mlflow") return shownAddress(word) || "***";
    const [flag, ...rest] = word.startsWith("--") ? word.split("=") : [word];
    if (rest.length === 0) return shownWord(word);
    const value = rest.join("=");
    return `${flag}=${flag === "--mlflow" ? shownAddress(value) || "***" : shownWord(value)}`;
  });
}
