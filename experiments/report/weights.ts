import { join } from "node:path";
import library from "../../web/flow.js" with { type: "text" };
import type { Live } from "../../viz/report/mod.ts";
import { reasonOf } from "../run/atomic_write.ts";
import { readFile } from "../run/read_file.ts";
import { weightsFile } from "../run/layout.ts";

/** Bytes of a checkpoint that a report still holds, a third more in the file: some two million weights. */
const most = 8 * 2 ** 20;

/**
 * The weights to show of a run: averaged over its last steps, or the last ones where it keeps no average.
 *
 * @returns the checkpoint's path and size, or why there is none
 */
export async function findWeights(run: string): Promise<{ path: string; size: number } | string> {
  let problem = "";
  for (const name of ["ema", "last"] as const) {
    const path = join(run, weightsFile(name));
    try {
      return { path, size: (await Deno.stat(path)).size };
    } catch (error) {
      problem = reasonOf(error);
    }
  }
  return `it has no ${weightsFile("ema")} or ${weightsFile("last")} (${problem})`;
}

/**
 * What a page needs to sample from runs by itself.
 *
 * @param wanted whether it shall; if not, the page says that it was told not to
 */
export async function readLive(runs: readonly string[], wanted: boolean): Promise<Live> {
  const checkpoints: (Uint8Array | string)[] = [];
  for (const run of runs) {
    checkpoints.push(wanted ? await checkpointOf(run) : "the report was made with --no-live");
  }
  return { library, checkpoints };
}

async function checkpointOf(run: string): Promise<Uint8Array | string> {
  const weights = await findWeights(run);
  if (typeof weights === "string") return "its folder holds no weights";
  const { path, size } = weights;
  if (size <= most) return await readFile(path);
  const mebibytes = (bytes: number) => `${(Math.ceil(10 * bytes / 2 ** 20) / 10).toFixed(1)} MiB`;
  return `its weights take ${mebibytes(size)}, and a report holds ${mebibytes(most)} at most`;
}
