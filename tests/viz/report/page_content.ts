/** Extracts the data that reports embed for their program. */

import { inflateRawSync } from "node:zlib";
import { unpacked } from "../../../viz/report/packing.ts";
import type { PageData } from "../../../viz/report/page_data.ts";

/** The bytes of a script in a report. */
function bytesIn(html: string, id: string): Uint8Array<ArrayBuffer> {
  const [, base64] = new RegExp(`<script type="text/plain" id="${id}">([^<]*)`).exec(html)!;
  return Uint8Array.fromBase64(base64);
}

/** The inflated bytes of a script in a report. */
export function inflatedIn(html: string, id: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(inflateRawSync(bytesIn(html, id)));
}

/** The data of a report. */
export function dataIn(html: string): PageData {
  return unpacked({ data: inflatedIn(html, "data"), files: bytesIn(html, "files") });
}
