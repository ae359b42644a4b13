import { dirname } from "node:path";
import { reasonOf, RunError, writeAtomic } from "../run/atomic_write.ts";
import { readFields } from "../run/contained.ts";
import { fieldsOf, listOf, textField } from "../run/field_checks.ts";

/** The programs of networks that the user has named with `--model` or in a plan, next to the runs. */
export const namedNetworksFile = "runs/.networks.json";

const checks = { networks: listOf(fieldsOf({ name: textField, digest: textField })) };

/** Digests of those named since this program started. */
const named = new Set<string>();

/** Notes that the user has named a network, so that this program may run it. */
export function markNamed(digest: string): void {
  named.add(digest);
}

/**
 * Whether the user has named the program with this digest, now or earlier. No other may run: a run folder or a
 * checkpoint can come from anyone.
 *
 * @throws {RunError} if the list is damaged
 */
export async function isNamed(digest: string): Promise<boolean> {
  return named.has(digest) || (await readNamed()).some((network) => network.digest === digest);
}

/** Notes a network for later starts of this program; `say` tells the user if that fails. */
export async function rememberNamed(
  network: { readonly name: string; readonly digest: string },
  say: (message: string) => void,
): Promise<void> {
  try {
    const networks = await readNamed();
    if (networks.some(({ digest }) => digest === network.digest)) return;
    await Deno.mkdir(dirname(namedNetworksFile), { recursive: true });
    await writeAtomic(
      namedNetworksFile,
      JSON.stringify({ networks: [...networks, network] }, null, 1) + "\n",
    );
  } catch (error) {
    const why = error instanceof RunError ? error.message : reasonOf(error);
    say(`Other tasks will ask for --model ${network.name} again: ${why}`);
  }
}

async function readNamed() {
  const { networks = [] } =
    await readFields(namedNetworksFile, checks, "delete it, and name your networks again") ?? {};
  return networks;
}
