import { dirname } from "node:path";
import type { ChoiceKey, ChoiceStore } from "../../kernels/mod.ts";
import { reasonOf, RunError, writeAtomic } from "../run/atomic_write.ts";
import { readFields } from "../run/contained.ts";
import { fieldsOf, listOf, textField } from "../run/field_checks.ts";

/** File of kernel choices, next to the runs because tasks may write nowhere else. */
export const choiceCacheFile = "runs/.kernels.json";

/** Most choices kept; the oldest are dropped first. */
const maxChoices = 10_000;

interface Entry extends ChoiceKey {
  readonly chosen: string;
}

const checks = {
  choices: listOf(
    fieldsOf({ adapter: textField, call: textField, candidates: textField, chosen: textField }),
  ),
};

const placeOf = ({ adapter, call }: ChoiceKey) => JSON.stringify([adapter, call]);

/** Choices of kernels in a file, by adapter, kernel and sizes. A choice is void if the candidates have changed. */
export class ChoiceCache implements ChoiceStore {
  readonly #entries: Map<string, Entry>;
  readonly #measured = new Map<string, Entry>();

  private constructor(readonly path: string, entries: Map<string, Entry>) {
    this.#entries = entries;
  }

  /** Opens the choices in a file; starts empty if it is missing or, as `say` tells the user, unusable. */
  static async open(path: string, say: (message: string) => void): Promise<ChoiceCache> {
    return new ChoiceCache(path, await readEntries(path, say));
  }

  get(key: ChoiceKey): string | undefined {
    const entry = this.#entries.get(placeOf(key));
    return entry?.candidates === key.candidates ? entry.chosen : undefined;
  }

  set(key: ChoiceKey, chosen: string): void {
    const entry = { ...key, chosen };
    this.#entries.set(placeOf(key), entry);
    this.#measured.set(placeOf(key), entry);
  }

  /** Adds the measurements to the file, which other programs may have changed; `say` tells the user if it cannot. */
  async save(say: (message: string) => void): Promise<void> {
    if (this.#measured.size === 0) return;
    const entries = await readEntries(this.path, () => {});
    for (const [place, entry] of this.#measured) {
      entries.delete(place); // move to the end: newest last
      entries.set(place, entry);
    }
    const choices = [...entries.values()].slice(-maxChoices);
    try {
      await Deno.mkdir(dirname(this.path), { recursive: true });
      await writeAtomic(this.path, JSON.stringify({ choices }, null, 1) + "\n");
    } catch (error) {
      say(`Cannot save the choices of kernels for the next start: ${reasonOf(error)}`);
    }
  }
}

async function readEntries(path: string, say: (message: string) => void): Promise<Map<string, Entry>> {
  try {
    const { choices = [] } = await readFields(path, checks, "it will be written again") ?? {};
    return new Map(choices.map((entry) => [placeOf(entry), entry]));
  } catch (error) {
    if (!(error instanceof RunError)) throw error;
    say(`Choosing kernels again: ${error.message}`);
    return new Map();
  }
}
