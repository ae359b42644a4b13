import { fileURLToPath } from "node:url";
import { JudgeError } from "../../models/mod.ts";
import { sha256 } from "../data/mnist.ts";
import { reasonOf } from "../run/atomic_write.ts";

/** A judge that the repository holds. */
export interface StoredJudge {
  /** Its file, from the root of the repository. */
  readonly file: string;
  /** SHA-256 of the file, in hex. */
  readonly digest: string;
  /** Digest of the labelled images that it learned from, see `digestOf`. */
  readonly dataDigest: string;
  /** The command that made it, on the CPU device before version 0.4, but for its `--out` and the path of the data. */
  readonly command: string;
}

/** The judges of the repository. */
export const storedJudges: readonly StoredJudge[] = [
  {
    file: "checkpoints/judge_mnist.safetensors",
    digest: "72159ef727407e0eea9934756a95e91503caa06ed2ab15b6efe17885cd549427",
    dataDigest: "238708a50598d8febb533ba32bfe90f80bfcd533d2e0136eef29432cf4e00705",
    command: "deno task judge --steps 6000 --seed 46020 --device cpu",
  },
  {
    file: "checkpoints/judge_fashion_mnist.safetensors",
    digest: "a32e59c777aaa95bc261c286d4b00dff74492dfad804b1dcee7fed1c0aa1a165",
    dataDigest: "16049096c5d3b06c1fa03327523ce9cfba61e979592ec6f128d5ae572dcd1669",
    command: "deno task judge --data fashion-mnist --steps 12000 --seed 46020 --device cpu",
  },
];

/**
 * Reads a judge of the repository.
 *
 * @throws {JudgeError} if the file is missing, or another one than stated
 */
export async function readStored({ file, digest }: StoredJudge): Promise<Uint8Array<ArrayBuffer>> {
  const advice = `restore it with git checkout ${file}`;
  const bytes = await Deno.readFile(fileURLToPath(new URL(`../../${file}`, import.meta.url))).catch(
    (error) => {
      throw new JudgeError(`Cannot judge by ${file}: ${reasonOf(error)}; ${advice}`);
    },
  );
  const found = await sha256(bytes);
  if (found === digest) return bytes;
  throw new JudgeError(`Cannot judge by ${file}: its SHA-256 is ${found} (expected ${digest}); ${advice}`);
}
