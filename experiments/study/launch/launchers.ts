import type { Launcher } from "./launcher.ts";
import { local } from "./local.ts";

/** The launchers by name. */
export const launchers = { local } as const satisfies Readonly<Record<string, Launcher>>;

/** The name of a launcher. */
export type LauncherName = keyof typeof launchers;
