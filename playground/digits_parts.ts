/** The networks and images that the page embeds for its step on digits. */
export interface DigitsParts {
  /** Weights of the flow and of the one-step network, safetensors. */
  readonly flow: Uint8Array;
  readonly oneStep: Uint8Array;
  /** Weights of the judge, safetensors. */
  readonly judge: Uint8Array;
  /** Training and held-out images, 28 x 28, with their labels. */
  readonly train: LabelledDigits;
  readonly heldOut: LabelledDigits;
}

/** u8[N, 28, 28] and u8[N]. */
export interface LabelledDigits {
  readonly images: Uint8Array;
  readonly labels: Uint8Array;
}

/** Pixels per image. */
export const digitPixels = 28 * 28;

/** Converts the f32 values of a safetensors file to f16, which halves its size. */
export function halved(file: Uint8Array<ArrayBuffer>): Uint8Array {
  const length = Number(new DataView(file.buffer, file.byteOffset).getBigUint64(0, true));
  const header: Record<string, { dtype?: string; data_offsets?: [number, number] }> = JSON.parse(
    new TextDecoder().decode(file.subarray(8, 8 + length)),
  );
  for (const entry of Object.values(header)) {
    if (!entry.data_offsets) continue;
    entry.dtype = "F16";
    entry.data_offsets = [entry.data_offsets[0] / 2, entry.data_offsets[1] / 2];
  }
  const text = new TextEncoder().encode(JSON.stringify(header));
  const numbers = new Float16Array(new Float32Array(file.slice(8 + length).buffer));
  const half = new Uint8Array(8 + text.length + numbers.byteLength);
  new DataView(half.buffer).setBigUint64(0, BigInt(text.length), true);
  half.set(text, 8);
  half.set(new Uint8Array(numbers.buffer), 8 + text.length);
  return half;
}
