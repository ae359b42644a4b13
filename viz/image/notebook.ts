/** The method by which Deno's Jupyter kernel asks a value, the last of a cell, what to show of it. */
export const notebookDisplay: unique symbol = Symbol.for("Jupyter.display");

/** What a notebook may show of a value, under media types: it takes the richest that it knows. Plain JSON. */
export interface MediaBundle {
  /** A text, base64 for an image other than SVG, or JSON for a type that ends in `+json`. */
  readonly [mediaType: string]: Json;
}

/** A value that JSON can state. */
export type Json = string | number | boolean | null | readonly Json[] | { readonly [name: string]: Json };

/** Shows itself at the end of a notebook's cell. */
export interface Displayable {
  /** What is shown. */
  readonly [notebookDisplay]: () => MediaBundle | Promise<MediaBundle>;
}

/** Bytes of an image file; at the end of a notebook's cell they show as that image. */
export type ImageFile = Uint8Array<ArrayBuffer> & Displayable;

/** Media types that notebooks show bytes of. */
export type ImageType = "image/png" | "image/gif";

/**
 * Gives a value a picture in notebooks, by a method that is not enumerable: the value stays what it was to all else, and
 * copies, slices and views of it are plain.
 *
 * @example
 * ```ts
 * import { notebookDisplay, showAs } from "../mod.ts";
 * import assert from "node:assert/strict";
 *
 * const celsius = showAs({ degrees: 21 }, () => ({ "text/html": "<b>21 °C</b>" }));
 * assert.deepEqual(celsius, { degrees: 21 });
 * assert.deepEqual(celsius[notebookDisplay](), { "text/html": "<b>21 °C</b>" });
 * ```
 *
 * @param show called each time the value is shown
 * @returns the value itself
 */
export function showAs<T extends object>(
  value: T,
  show: () => MediaBundle | Promise<MediaBundle>,
): T & Displayable {
  return Object.defineProperty(value, notebookDisplay, { value: show, configurable: true }) as
    & T
    & Displayable;
}

/** The bytes of an image file, which show as that image. */
export function imageFile(bytes: Uint8Array, type: ImageType): ImageFile {
  return showAs(bytes as Uint8Array<ArrayBuffer>, () => ({
    [type]: bytes.toBase64(),
    // nbconvert, and with it much that shows notebooks, does not know image/gif.
    ...type === "image/gif" && { "text/html": inPage(bytes, type) },
    "text/plain": `${type}, ${bytes.length} bytes`,
  }));
}

/** An image in HTML, of a width in pixels. */
export function inPage(bytes: Uint8Array, type: ImageType, width?: number): string {
  const size = width === undefined ? "" : ` width="${Math.round(width)}"`;
  return `<img src="data:${type};base64,${bytes.toBase64()}"${size} style="max-width: 100%">`;
}
