import type * as web from "../web/mod.ts";

/** The library, as the page and `deno task playground` pass it to what trains. */
export type Library = typeof web;
