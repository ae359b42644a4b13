import { RunError } from "../run/run_folder.ts";
import type { Classes } from "../cli/kinds.ts";
import { ConfigError, didYouMean } from "../cli/settings.ts";
import { readRecord } from "../tracking/record.ts";

/** Maximum number of class names in one message. */
const maxListed = 20;

/** Words for classes without names, which are usually digits. */
export const digitNames = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"];

/** The classes of a network. */
export interface NetworkClasses {
  /** How many; 0 without labels. */
  readonly count: number;
  /** Names by number, if the run of the network records them. */
  readonly names?: readonly string[] | undefined;
}

/** The name of a class if it is known, else its number. */
export function className(label: number, names: NetworkClasses["names"]): string {
  return names?.[label] ?? `${label}`;
}

/** The names of classes that a run records; undefined if there are none, or not for this number of classes. */
export async function recordedClassNames(
  run: string,
  count?: number,
): Promise<readonly string[] | undefined> {
  const record = await readRecord(run).catch((error) => {
    if (!(error instanceof RunError)) throw error; // a damaged record only costs the names
  });
  const names = record?.dataset?.classNames ?? undefined;
  return count === undefined || names?.length === count ? names : undefined;
}

/**
 * The numbers of the chosen classes. A word that is the name of a class means that class, even if it is a number. Where
 * no names are known, `three` is class 3.
 *
 * @param classes of the network, at least one
 * @param source name of its file, for errors
 * @throws {ConfigError} if the network lacks one of them
 */
export function chosenClasses(
  choice: Classes,
  { count, names }: NetworkClasses,
  source: string,
): readonly number[] {
  if (choice === "all") return Array.from({ length: count }, (_, c) => c);
  const allNames = names ?? digitNames.slice(0, count);
  return choice.map((word) => {
    const label = allNames.includes(word) ? allNames.indexOf(word) : /^\d+$/.test(word) ? Number(word) : NaN;
    if (label < count) return label;
    const listed = names && names.length <= maxListed ? ` (${names.join(", ")})` : "";
    throw new ConfigError(
      `Cannot draw class ${word} from ${source}: it has the classes 0 to ${count - 1}${listed}` +
        didYouMean(word, allNames),
    );
  });
}
