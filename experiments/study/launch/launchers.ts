import type { Launcher } from "./launcher.ts";
import { local } from "./local.ts";
import { slurm } from "./slurm.ts";

/** The launchers by name. */
export const launchers = { local, slurm } as const satisfies Readonly<Record<string, Launcher>>;

/** The name of a launcher. */
export type LauncherName = keyof typeof launchers;
