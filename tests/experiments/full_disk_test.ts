/** A full disk: if a file cannot be written, all files stay unchanged. */

import { granted } from "../permissions.ts";
import { testTask } from "./cli.ts";
import { assertRefused, smallRun } from "./refusals.ts";

/** Mounts a small disk in memory. @returns the function that removes it */
async function mountDisk(path: string): Promise<() => Promise<unknown>> {
  await Deno.mkdir(path, { recursive: true });
  const command = (name: string, ...args: string[]) =>
    new Deno.Command(name, { args, stderr: "piped" }).output();
  const { success, stderr } = await command("mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", path);
  if (!success) throw new Error(new TextDecoder().decode(stderr).trim().split("\n")[0]);
  return () => command("umount", path);
}

/** Why a full disk cannot be tested here; also undefined without the permissions to find out. */
async function whyNoDisk(): Promise<string | undefined> {
  if (!granted("run") || !granted("write")) return undefined;
  const path = await Deno.makeTempDir({ prefix: "flow-" });
  try {
    const unmount = await mountDisk(path);
    await unmount();
  } catch (error) {
    return `no disk can be mounted: ${(error as Error).message}`;
  } finally {
    await Deno.remove(path);
  }
}

testTask("train --resume and sample leave all files intact when the disk is full", async (place) => {
  const unmount = await mountDisk(place.file("disk"));
  try {
    await place.succeed("train:base", `${smallRun} --out disk/run`);
    await Deno.writeTextFile(place.file("disk", "grid.png"), "old");
    await Deno.writeFile(place.file("disk", "ballast"), new Uint8Array(2 ** 22)).catch(() => {}); // fills the disk
    await assertRefused(place, {
      flags: "--resume disk/run --max-steps 3",
      says: ["RunError: Cannot lock .lock in disk/run: no space is left on the disk"],
    });
    await assertRefused(place, {
      task: "sample",
      flags: "--checkpoint disk/run/last.safetensors --device cpu --solver heun:steps=1 --out disk/grid.png",
      says: ["RunError: Cannot write disk/grid.png: no space is left on the disk; the file is unchanged\n"],
    });
  } finally {
    await unmount();
  }
}, await whyNoDisk());
