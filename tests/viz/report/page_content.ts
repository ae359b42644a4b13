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

/** The coordinates of the traces of a chart that a report holds. */
export function tracesIn(
  html: string,
  id: string,
): { readonly x: number[]; readonly y: (number | null)[] }[] {
  const [, json] = new RegExp(`<div id="${id}"[^>]*><script type="application/json">(.*?)</script>`).exec(
    html,
  )!;
  const { data } = JSON.parse(
    json,
    (_, value) =>
      value?.bdata === undefined ? value : [...new Float32Array(Uint8Array.fromBase64(value.bdata).buffer)],
  );
  return data;
}

/** The data of a report. */
export function dataIn(html: string): PageData {
  return unpacked({ data: inflatedIn(html, "data"), files: inflatedIn(html, "files") });
}
