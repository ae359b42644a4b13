/** Damages files like disks, editors and attackers do; reproducible by seed. */

import assert from "node:assert/strict";
import { extname, join } from "node:path";
import { UserError } from "../../kernels/mod.ts";

/** Random whole numbers from 0 to n - 1. */
export type Random = (n: number) => number;

/** A generator of random numbers. Source: mulberry32, public domain */
export function randomOf(seed: number): Random {
  let state = seed;
  return (n) => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return Math.floor(((t ^ (t >>> 14)) >>> 0) / 2 ** 32 * n);
  };
}

const strange: readonly unknown[] = [
  ...[null, true, "", "NaN", "a\u0007b", "../x", "\u2028", [], {}, [[]], [null], { toString: 1, length: -1 }],
  ...[0, -1, 0.5, 1e300, -1e300, 2 ** 53, 2 ** 31, 4097],
];

/** Replaces, removes or adds one value in JSON. */
export function mutateJson(value: unknown, random: Random): unknown {
  if (typeof value !== "object" || value === null || random(6) === 0) return strange[random(strange.length)];
  const keys = Object.keys(value);
  if (keys.length === 0) return strange[random(strange.length)];
  const copy: Record<string, unknown> = Array.isArray(value) ? [...value] as never : { ...value };
  const key = keys[random(keys.length)];
  const kind = random(8);
  if (kind === 0) delete copy[key];
  else if (kind === 1) copy["__proto__x"] = strange[random(strange.length)];
  else copy[key] = mutateJson(copy[key], random);
  return copy;
}

/** Flips, cuts, repeats or inserts bytes. */
export function mutateBytes(bytes: Uint8Array, random: Random): Uint8Array<ArrayBuffer> {
  const at = random(bytes.length);
  const [head, tail] = [bytes.subarray(0, at), bytes.subarray(at)];
  const ways = [
    () => [...head],
    () => [...head, ...tail.subarray(1 + random(16))],
    () => [...head, ...tail.subarray(0, random(64)), ...tail],
    () => [...head, random(256), random(256), ...tail],
  ];
  const way = ways[random(5)];
  if (way) return Uint8Array.from(way());
  const copy = Uint8Array.from(bytes);
  for (let i = random(4); i >= 0; i--) copy[Math.min(at + random(8), copy.length - 1)] = random(256);
  return copy;
}

/** Damages JSON text: mostly its values, sometimes its characters. */
export function mutateText(text: string, random: Random): Uint8Array<ArrayBuffer> {
  if (random(4) === 0) return mutateBytes(new TextEncoder().encode(text), random);
  return new TextEncoder().encode(JSON.stringify(mutateJson(JSON.parse(text), random)));
}

/** Damages one line of a JSON Lines file. */
export function mutateLines(text: string, random: Random): Uint8Array<ArrayBuffer> {
  const lines = text.trimEnd().split("\n");
  const at = random(lines.length);
  lines[at] = new TextDecoder().decode(mutateText(lines[at], random)).replaceAll("\n", " ");
  return new TextEncoder().encode(lines.join("\n") + "\n");
}

/** A header of safetensors; `__metadata__` holds texts. */
// deno-lint-ignore no-explicit-any
type Header = any;

/** Changes the header of safetensors, and updates its length. */
export function withHeader(
  bytes: Uint8Array<ArrayBuffer>,
  change: (header: Header) => unknown,
): Uint8Array<ArrayBuffer> {
  const start = 8 + Number(new DataView(bytes.buffer).getBigUint64(0, true));
  const header = JSON.parse(new TextDecoder().decode(bytes.subarray(8, start)));
  const text = new TextEncoder().encode(JSON.stringify(change(header) ?? header));
  const length = new Uint8Array(BigUint64Array.of(BigInt(text.length)).buffer);
  return Uint8Array.from([...length, ...text, ...bytes.subarray(start)]);
}

/** Damages safetensors: header, metadata, tensor values, or any bytes. */
export function mutateSafetensors(bytes: Uint8Array<ArrayBuffer>, random: Random): Uint8Array<ArrayBuffer> {
  const kind = random(4);
  if (kind === 0) return mutateBytes(bytes, random);
  if (kind === 1) {
    const view = new DataView(bytes.slice().buffer);
    const start = 8 + Number(view.getBigUint64(0, true));
    const at = start + 4 * random((bytes.length - start) / 4);
    view.setFloat32(at, [NaN, Infinity, -1, 0.5, 1e38, 300][random(6)], true);
    return new Uint8Array(view.buffer);
  }
  return withHeader(bytes, (header) => {
    const metadata = header.__metadata__;
    if (kind === 3 || !metadata) return mutateJson(header, random);
    const names = Object.keys(metadata), name = names[random(names.length)];
    metadata[name] = mutateField(metadata[name], random);
  });
}

function mutateField(text: string, random: Random): string {
  try {
    return JSON.stringify(mutateJson(JSON.parse(text), random)) ?? "";
  } catch {
    return JSON.stringify(strange[random(strange.length)]); // not JSON
  }
}

/** Damages a file many times, and reads it each time: it is either read, or refused in one line with its name. */
export async function damage(
  folder: string,
  name: string,
  times: number,
  read: (folder: string) => unknown,
): Promise<void> {
  const path = join(folder, name);
  const whole = await Deno.readFile(path);
  const text = new TextDecoder().decode(whole);
  const random = randomOf(46020);
  const ways: Record<string, () => Uint8Array> = {
    ".safetensors": () => mutateSafetensors(whole, random),
    ".json": () => mutateText(text, random),
    ".jsonl": () => mutateLines(text, random),
    "": () => mutateBytes(whole, random),
  };
  let refused = 0;
  for (let i = 0; i < times; i++) {
    await Deno.writeFile(path, ways[extname(name)]());
    try {
      await read(folder);
    } catch (error) {
      refused++;
      assert.ok(error instanceof UserError, `${name}, ${i}: ${Deno.inspect(error)}`);
      const knows = /^Cannot (draw|use --)/.test(error.message); // the task knows the file
      assert.ok(knows || error.message.includes(folder), `${name}, ${i}: ${error.message}`);
      assert.ok(!error.message.includes("\n"), error.message);
    }
  }
  await Deno.writeFile(path, whole);
  await read(folder);
  assert.ok(times < 15 || refused > times / 20, `only ${refused} of ${times} were refused`);
}
