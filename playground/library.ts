import type * as web from "../web/mod.ts";

/** The library's type; the page and `deno task playground` pass the library to the code that trains. */
export type Library = typeof web;
