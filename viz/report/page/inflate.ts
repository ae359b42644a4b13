/// <reference lib="dom" />
import { bytesOf } from "../../image/base64.ts";
import { byId } from "./dom.ts";

/** The bytes of a script of the page, which holds them deflated and in base64. */
export async function inflated(id: string): Promise<Uint8Array<ArrayBuffer>> {
  const deflated = new Blob([bytesOf(byId(id).textContent!)]);
  const stream = deflated.stream().pipeThrough(new DecompressionStream("deflate-raw"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}
