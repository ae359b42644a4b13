import { dirname, isAbsolute, join } from "node:path";
import { readFields, reasonOf, RunError, writeAtomic } from "../run/run_folder.ts";
import { fieldsOf, listOf, textField } from "../run/field_checks.ts";

/**
 * The list of programs of networks that the user has named with `--model` or in a plan. It lies in the user's settings
 * folder: a list among the runs would be passed on with them, and the trust with it. Undefined without a home folder.
 */
function namedNetworksFile(): string | undefined {
  const [settings, home] = ["XDG_CONFIG_HOME", "HOME"].map((variable) => {
    const { state } = Deno.permissions.querySync({ name: "env", variable });
    const folder = state === "granted" ? Deno.env.get(variable) : undefined;
    return folder !== undefined && isAbsolute(folder) ? folder : undefined;
  });
  const folder = settings ?? (home && join(home, ".config"));
  return folder && join(folder, "flow-matching", "networks.json");
}

const checks = { networks: listOf(fieldsOf({ name: textField, digest: textField })) };

/** Digests of those named since this program started. */
const named = new Set<string>();

/** Records that the user has named a network, so that this program may run it. */
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
  return named.has(digest) ||
    (await readNamed(namedNetworksFile())).some((network) => network.digest === digest);
}

/** Records a network for later starts of this program; `say` tells the user if that fails. */
export async function rememberNamed(
  network: { readonly name: string; readonly digest: string },
  say: (message: string) => void,
): Promise<void> {
  try {
    const path = namedNetworksFile();
    if (path === undefined) throw new RunError("HOME is not set, or the task may not read it");
    const networks = await readNamed(path);
    if (networks.some(({ digest }) => digest === network.digest)) return;
    await Deno.mkdir(dirname(path), { recursive: true });
    await writeAtomic(path, JSON.stringify({ networks: [...networks, network] }, null, 1) + "\n");
  } catch (error) {
    const why = error instanceof RunError ? error.message : reasonOf(error);
    say(`Other tasks will ask for --model ${network.name} again: ${why}`);
  }
}

async function readNamed(path: string | undefined) {
  if (path === undefined) return [];
  const { networks = [] } = await readFields(path, checks, "delete it, and name your networks again") ?? {};
  return networks;
}
