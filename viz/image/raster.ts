import { bytesOf } from "./base64.ts";
import { initWasm, Resvg } from "npm:@resvg/resvg-wasm@2.6.2";
import { dejaVuSans } from "./font.ts";
import type { Raster } from "./picture.ts";

/** Draws an SVG with `zoom` pixels (default 1) per unit. Text is set in DejaVu Sans. */
export type Rasterizer = (svg: string, zoom?: number) => Raster;

let loading: Promise<Rasterizer> | undefined;

/**
 * Loads resvg and the font once; needs no permissions.
 *
 * @example
 * ```ts
 * import { rasterizer } from "../mod.ts";
 * import assert from "node:assert/strict";
 *
 * const draw = await rasterizer();
 * const svg = `<svg xmlns="http://www.w3.org/2000/svg" width="2" height="1"><path d="M0 0h2v1h-2z" fill="#f00"/></svg>`;
 * assert.deepEqual(draw(svg), { width: 2, height: 1, rgba: Uint8Array.of(255, 0, 0, 255, 255, 0, 0, 255) });
 * ```
 *
 * @returns a function that draws; it throws an {@linkcode Error} if its input is not SVG
 */
export function rasterizer(): Promise<Rasterizer> {
  return loading ??= load();
}

async function load(): Promise<Rasterizer> {
  // Imported here so that importing this module stays cheap.
  const { default: wasm } = await import("./resvg_wasm.js") as { default: WebAssembly.Module };
  await initWasm(wasm);
  const fontBuffers = [bytesOf(dejaVuSans)];
  return (svg, zoom = 1) => {
    const drawing = new Resvg(svg, {
      fitTo: { mode: "zoom", value: zoom },
      font: { fontBuffers, defaultFontFamily: "DejaVu Sans" },
    });
    const image = drawing.render();
    const raster = { width: image.width, height: image.height, rgba: image.pixels };
    image.free();
    drawing.free();
    return raster;
  };
}
