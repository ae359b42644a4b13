/// <reference lib="dom" />
import type { Quantised } from "../quantise.ts";

/** The bytes of base64. */
export function bytesOf(base64: string): Uint8Array<ArrayBuffer> {
  const text = atob(base64);
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
  return bytes;
}

/** The numbers that were quantised, each off by half a step at most. */
export function decode({ bits, step, data }: Quantised): Float32Array {
  const { buffer } = bytesOf(data);
  const integers = bits === 8 ? new Int8Array(buffer) : new Int16Array(buffer);
  return Float32Array.from(integers, (integer) => integer * step);
}
