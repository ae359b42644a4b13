/** The method that Deno's Jupyter kernel calls on the last value of a cell to show it. */
export const notebookDisplay: unique symbol = Symbol.for("Jupyter.display");

/** What a notebook can show of a value, by media type, as plain JSON: it takes the richest type that it knows. */
export interface MediaBundle {
  /** Text; base64 for an image other than SVG; JSON for a type that ends in `+json`. */
  readonly [mediaType: string]: Json;
}

/** A JSON value. */
export type Json = string | number | boolean | null | readonly Json[] | { readonly [name: string]: Json };

/** A value that shows itself at the end of a notebook's cell. */
export interface Displayable {
  /** Returns what a notebook shows. */
  readonly [notebookDisplay]: () => MediaBundle | Promise<MediaBundle>;
}

/** Bytes of an image file; at the end of a notebook's cell they show as that image. */
export type ImageFile = Uint8Array<ArrayBuffer> & Displayable;

/** Media types of bytes that notebooks show. */
export type ImageType = "image/png" | "image/gif";

/**
 * Gives a value a picture in notebooks, by a method that is not enumerable: nothing else about the value changes, and
 * its copies, slices and views are plain.
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

/** Bytes of an image file that show as the image. */
export function imageFile(bytes: Uint8Array, type: ImageType): ImageFile {
  return showAs(bytes as Uint8Array<ArrayBuffer>, () => ({
    [type]: bytes.toBase64(),
    // nbconvert, and much else that shows notebooks, does not know image/gif.
    ...type === "image/gif" && { "text/html": inPage(bytes, type) },
    "text/plain": `${type}, ${bytes.length} bytes`,
  }));
}

/** An image in HTML; its width is in pixels. */
export function inPage(bytes: Uint8Array, type: ImageType, width?: number): string {
  const size = width === undefined ? "" : ` width="${Math.round(width)}"`;
  return `<img src="data:${type};base64,${bytes.toBase64()}"${size} style="max-width: 100%">`;
}
