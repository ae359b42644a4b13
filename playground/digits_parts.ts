import { deflateSync } from "npm:fflate@0.8.3";

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

/** Packs all labels, then all images, into one deflated array, which `unpackedDigits` reads. */
export function packedDigits({ train, heldOut }: Pick<DigitsParts, "train" | "heldOut">): Uint8Array {
  const parts = [
    Uint32Array.of(train.labels.length),
    train.labels,
    heldOut.labels,
    train.images,
    heldOut.images,
  ];
  const bytes = new Uint8Array(parts.reduce((sum, { byteLength }) => sum + byteLength, 0));
  let at = 0;
  for (const { buffer, byteOffset, byteLength } of parts) {
    bytes.set(new Uint8Array(buffer, byteOffset, byteLength), at);
    at += byteLength;
  }
  return deflateSync(bytes, { level: 9 });
}

/** Reads the inflated bytes that `packedDigits` wrote. */
export function unpackedDigits(bytes: Uint8Array<ArrayBuffer>): Pick<DigitsParts, "train" | "heldOut"> {
  const first = new DataView(bytes.buffer, bytes.byteOffset).getUint32(0, true);
  const all = (bytes.length - 4) / (1 + digitPixels);
  const of = (from: number, to: number): LabelledDigits => ({
    labels: bytes.subarray(4 + from, 4 + to),
    images: bytes.subarray(4 + all + from * digitPixels, 4 + all + to * digitPixels),
  });
  return { train: of(0, first), heldOut: of(first, all) };
}

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
