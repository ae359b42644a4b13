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
  /** The command that makes it again on the CPU device, but for its `--out` and the path of the data. */
  readonly command: string;
}

/** The judges of the repository. */
export const storedJudges: readonly StoredJudge[] = [];

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
