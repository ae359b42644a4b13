import { join } from "node:path";
import { decodeCheckpoint } from "../../models/mod.ts";
import library from "../../web/flow.js" with { type: "text" };
import type { Examples, Live, LiveJudge, LiveWeaker } from "../../viz/report/mod.ts";
import { readExamples } from "../data/example_file.ts";
import { readLiveJudge } from "../evaluation/live_judge_file.ts";
import { runFile } from "../run/layout.ts";
import { readFile, readJson } from "../run/read_file.ts";
import { findEarlyWeights, findWeights } from "../run/run_weights.ts";

/** Bytes of the largest checkpoint that a report holds, some two million weights; base64 adds a third. */
const mostBytes = 8 * 2 ** 20;

/**
 * Reads what a page needs to sample from runs by itself.
 *
 * @param wanted whether it should, or why not; the page says why it does not
 * @throws {RunError} if weights, or files that go with them, are there but cannot be read
 * @throws as `decodeCheckpoint` and `decodeJudge` if one of them is damaged: the page could only say so to who draws
 */
export async function readLive(runs: readonly string[], wanted: boolean | string): Promise<Live> {
  const checkpoints: (Uint8Array | string)[] = [];
  const weaker: (LiveWeaker | undefined)[] = [];
  const examples: (Examples | undefined)[] = [];
  const judges: (LiveJudge | undefined)[] = [];
  const reason = typeof wanted === "string" ? wanted : "the report was made with --no-live";
  for (const run of runs) {
    const checkpoint = wanted === true ? await checkpointOf(run) : reason;
    const isLive = typeof checkpoint !== "string";
    checkpoints.push(checkpoint);
    weaker.push(isLive ? await weakerOf(run, mostBytes - checkpoint.length) : undefined);
    examples.push(isLive ? await readExamples(run) : undefined);
    judges.push(isLive ? await readLiveJudge(run) : undefined);
  }
  return { library, checkpoints, weaker, examples, judges };
}

/** What the samples of a run without labels are guided away from, if it takes no more than so many bytes. */
async function weakerOf(run: string, most: number): Promise<LiveWeaker | undefined> {
  const { conditional, guidance } = await readJson(join(run, runFile.config)) ?? {};
  if (conditional === true || typeof guidance !== "number" || guidance === 1) return undefined;
  const early = findEarlyWeights(run);
  if (!early || early.size > most) return undefined;
  return { checkpoint: await readWhole(early.path, run), guidance };
}

async function checkpointOf(run: string): Promise<Uint8Array | string> {
  const weights = findWeights(run);
  if (!weights) return "its folder holds no weights";
  const { path, size } = weights;
  if (size <= mostBytes) return await readWhole(path, run);
  const mebibytes = (bytes: number) => `${(Math.ceil(10 * bytes / 2 ** 20) / 10).toFixed(1)} MiB`;
  return `its weights take ${mebibytes(size)}, and a report holds ${mebibytes(mostBytes)} at most`;
}

/** Reads weights, and checks that they are whole. */
async function readWhole(path: string, run: string): Promise<Uint8Array> {
  const bytes = await readFile(path, run);
  decodeCheckpoint(bytes, path);
  return bytes;
}
