/**
 * Generates `viz/image/font.ts`: DejaVu Sans with the characters that pictures use, as a module, because modules can be
 * imported without permission to read files.
 *
 * deno run --allow-read --allow-env --allow-write=viz/image/font.ts tests/viz/image/make_font.ts
 */

import { Buffer } from "node:buffer";
import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import subsetFont from "npm:subset-font@2.9.0";
import dejaVu from "npm:dejavu-fonts-ttf@2.37.3/package.json" with { type: "json" };

function range(from: number, to: number): string {
  return String.fromCodePoint(...Array.from({ length: to - from + 1 }, (_, i) => from + i));
}

/** ASCII, the Latin-1 letters and signs, dashes, quotes, ellipsis, arrows, minus. */
const characters = range(0x20, 0x7e) + range(0xa0, 0xff) + "–—‘’“”…←↑→↓−";
const [copyright, family, licence] = [0, 1, 13];

/** Returns the text of the module. */
export async function fontModule(): Promise<string> {
  const manifest = import.meta.resolve(`npm:dejavu-fonts-ttf@${dejaVu.version}/package.json`);
  const file = fileURLToPath(new URL("ttf/DejaVuSans.ttf", manifest));
  const font = await subsetFont(Buffer.from(await readFile(file)), characters, {
    targetFormat: "truetype",
    noLayoutClosure: true,
    noHinting: true,
    preserveNameIds: [copyright, family, licence],
  });
  return `// Made by tests/viz/image/make_font.ts from npm:dejavu-fonts-ttf@2.37.3; copyright and licence are in the font's names.

/** DejaVu Sans in the characters of Latin-1 and a few signs: a TrueType file in base64. */
export const dejaVuSans =
  "${font.toString("base64")}";
`;
}

if (import.meta.main) {
  await Deno.writeTextFile(new URL("../../../viz/image/font.ts", import.meta.url), await fontModule());
}
