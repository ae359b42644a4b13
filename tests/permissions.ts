/** Tests that are ignored, with the reason, if something they need is missing. */

/** Whether tests that take long and seldom fail alone are left out: in `deno task test` without `--all`. */
export const isShort = granted("env") && Deno.env.get("FLOW_TESTS") === "short";

/** Permissions that a test may need. */
export type PermissionName = "read" | "write" | "run" | "net" | "env";
type Needs = Partial<Record<PermissionName, true>>;

/** The needs of tests that start programs, and also let them connect to this machine. */
export const toRun = { read: true, write: true, run: true } as const;
export const toConnect = { ...toRun, net: true, env: true } as const;

/** Whether a permission is granted in full (for `net`, to this machine); never prompts. */
export function granted(name: PermissionName): boolean {
  const descriptor = name === "net" ? { name, host: "127.0.0.1" } as const : { name };
  return Deno.permissions.querySync(descriptor).state === "granted";
}

/**
 * Defines a test that is ignored, with the reason in its name, if a permission is missing.
 *
 * @param needs the permissions, each set to true
 * @param name `symbol() what holds`
 * @param fn the test
 */
export function testNeeding(needs: Needs, name: string, fn: () => void | Promise<void>): void {
  const missing = (Object.keys(needs) as PermissionName[]).filter((need) => !granted(need));
  const flags = missing.map((need) => `--allow-${need}`).join(" ");
  testUnless(flags === "" ? undefined : `needs ${flags}`, name, fn);
}

/**
 * Defines a test that is ignored if there is a reason, which is then part of its name.
 *
 * @param reason why the test cannot run here; undefined to run it
 * @param name `symbol() what holds`
 * @param fn the test
 */
export function testUnless(reason: string | undefined, name: string, fn: () => void | Promise<void>): void {
  if (reason === undefined) Deno.test(name, fn);
  else Deno.test({ name: `${name} (ignored: ${reason})`, ignore: true, fn });
}
