/**
 * Builds `viz/report/page.js`, the program of reports, from the modules in `viz/report/page`. Run by
 * `deno task build:page` after a change there; a test tells if it was forgotten.
 */
import { fileURLToPath } from "node:url";

const path = (name: string) => fileURLToPath(new URL(`../../../viz/report/${name}`, import.meta.url));

/** The program that reports hold. */
export async function bundlePage(): Promise<string> {
  const { build, stop } = await import("npm:esbuild@0.28.2");
  try {
    const { outputFiles: [{ text }] } = await build({
      entryPoints: [path("page/main.ts")],
      bundle: true,
      minify: true,
      charset: "utf8",
      format: "iife",
      target: "es2022",
      banner: { js: "// Built from page/ by `deno task build:page`." },
      legalComments: "none",
      write: false,
    });
    return text;
  } finally {
    await stop();
  }
}

if (import.meta.main) await Deno.writeTextFile(path("page.js"), await bundlePage());
