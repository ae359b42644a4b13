import { base64 } from "./base64.ts";

/** Name of the method that Deno's Jupyter kernel calls to show the last value of a cell. */
export const notebookDisplay: unique symbol = Symbol.for("Jupyter.display");

/** Representations of a value by media type, as plain JSON; a notebook shows the richest that it supports. */
export interface MediaBundle {
  /** Text; base64 for an image other than SVG; JSON for a type that ends in `+json`. */
  readonly [mediaType: string]: Json;
}

/** A JSON value. */
export type Json = string | number | boolean | null | readonly Json[] | { readonly [name: string]: Json };

/** A value that a notebook shows if it is the last value of a cell. */
export interface Displayable {
  /** Returns the representations for a notebook. */
  readonly [notebookDisplay]: () => MediaBundle | Promise<MediaBundle>;
}

/** Bytes of an image file, which a notebook shows as an image. */
export type ImageFile = Uint8Array<ArrayBuffer> & Displayable;

/** Media types of bytes that notebooks show. */
export type ImageType = "image/png" | "image/gif";

/**
 * Makes notebooks show a value through a non-enumerable method. Nothing else about the value changes, and its copies,
 * slices and views do not have the method.
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

/** Makes notebooks show the bytes of an image file as an image. */
export function imageFile(bytes: Uint8Array, type: ImageType): ImageFile {
  return showAs(bytes as Uint8Array<ArrayBuffer>, () => {
    const text = base64(bytes);
    const inPage = `<img src="data:${type};base64,${text}" style="max-width: 100%">`;
    return {
      [type]: text,
      ...type === "image/gif" && { "text/html": inPage }, // nbconvert and many other viewers do not support image/gif
      "text/plain": `${type}, ${bytes.length} bytes`,
    };
  });
}
