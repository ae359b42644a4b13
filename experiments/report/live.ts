import library from "../../web/flow.js" with { type: "text" };
import type { Live } from "../../viz/report/mod.ts";
import { readFile } from "../run/read_file.ts";
import { findWeights } from "../run/run_weights.ts";

/** Bytes of the largest checkpoint that a report holds, some two million weights; base64 adds a third. */
const mostBytes = 8 * 2 ** 20;

/**
 * Reads what a page needs to sample from runs by itself.
 *
 * @param wanted whether it should; if not, the page says that it was made without
 * @throws {RunError} if weights are there but cannot be read
 */
export async function readLive(runs: readonly string[], wanted: boolean): Promise<Live> {
  const checkpoints: (Uint8Array | string)[] = [];
  for (const run of runs) {
    checkpoints.push(wanted ? await checkpointOf(run) : "the report was made with --no-live");
  }
  return { library, checkpoints };
}

async function checkpointOf(run: string): Promise<Uint8Array | string> {
  const weights = findWeights(run);
  if (!weights) return "its folder holds no weights";
  const { path, size } = weights;
  if (size <= mostBytes) return await readFile(path);
  const mebibytes = (bytes: number) => `${(Math.ceil(10 * bytes / 2 ** 20) / 10).toFixed(1)} MiB`;
  return `its weights take ${mebibytes(size)}, and a report holds ${mebibytes(mostBytes)} at most`;
}
