import { ConfigError } from "../settings/setting.ts";
import { FolderStore } from "./folder_store.ts";
import { ServerStore } from "./server_store.ts";
import { chooseTracking, readEnvironment } from "./settings.ts";
import type { RunStore } from "./store.ts";

/** Where a task is told to look for runs. */
export interface StoreChoice {
  readonly from: "folders" | "server";
  readonly mlflow: string | null;
  /** The folder of the run folders. */
  readonly root: string;
  readonly experiment: string | null;
}

/**
 * The runs that a task is told to look at: those of folders, or of a server.
 *
 * @throws {ConfigError} if a server is asked for and none is named, or it cannot be used
 */
export function openStore({ from, mlflow, root, experiment }: StoreChoice): RunStore {
  if (from === "folders" && mlflow === null) return new FolderStore(root);
  const { address, ...choice } = chooseTracking({ mlflow, experiment }, readEnvironment());
  if (address !== undefined) return new ServerStore({ address, ...choice });
  throw new ConfigError(
    "Cannot look on a server: none is named (expected --mlflow URI or MLFLOW_TRACKING_URI)",
  );
}
