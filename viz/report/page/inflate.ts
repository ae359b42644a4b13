/// <reference lib="dom" />
import { bytesOf } from "../../image/base64.ts";

/** Decodes and inflates the text of a script in the page, which is deflated and in base64. */
export async function inflated(text: string): Promise<Uint8Array<ArrayBuffer>> {
  const { body } = new Response(bytesOf(text)); // not a blob: in WebKit, workers of pages opened from files cannot read blobs
  const stream = body!.pipeThrough(new DecompressionStream("deflate-raw"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}
