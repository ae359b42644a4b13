/// <reference lib="dom" />
import { bytesOf } from "../../image/base64.ts";

/** The bytes of a script of the page, whose text is in base64 and deflated. */
export async function inflated(text: string): Promise<Uint8Array<ArrayBuffer>> {
  const { body } = new Response(bytesOf(text)); // no blob: WebKit reads none in workers of pages from files
  const stream = body!.pipeThrough(new DecompressionStream("deflate-raw"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}
