import { ConfigError } from "../settings/setting.ts";
import { FolderStore } from "./folder_store.ts";
import { ServerStore } from "./server_store.ts";
import { chooseTracking, readEnvironment } from "./settings.ts";
import type { RunStore } from "./store.ts";

/** Where to look for runs. */
export interface StoreChoice {
  readonly from: "folders" | "server";
  readonly mlflow: string | null;
  /** The folder that holds the runs. */
  readonly root: string;
  readonly experiment: string | null;
}

/**
 * Opens the runs in folders, or those on a server.
 *
 * @throws {ConfigError} if a server is asked for but none is named, or it cannot be used
 */
export function openStore({ from, mlflow, root, experiment }: StoreChoice): RunStore {
  if (from === "folders" && mlflow === null) return new FolderStore(root);
  const { address, ...choice } = chooseTracking({ mlflow, experiment }, readEnvironment());
  if (address !== undefined) return new ServerStore({ address, ...choice });
  throw new ConfigError(
    "Cannot look on a server: none is named (expected --mlflow URI or MLFLOW_TRACKING_URI)",
  );
}
