import { type JudgeInfo, type Judgement, loadJudge } from "../../models/mod.ts";
import { sha256 } from "../data/mnist.ts";
import { checkJudge, digestOf, type JudgedData } from "./judged_data.ts";

/** The judge of a data set. */
export interface DataJudge extends JudgeInfo {
  /** Its file. */
  readonly bytes: Uint8Array;
  /** SHA-256 of its file, in hex. */
  readonly digest: string;
  /** Whether the repository holds it, an earlier task made it, or this one did. */
  readonly source: "stored" | "cached" | "trained";
  /** Says what images show, f32[N, C, H, W] with 0 black and 1 white; see `Judge.judge()`. */
  judge(pixels: Float32Array): Promise<Judgement>;
}

/**
 * Loads the judge of a data set onto the current device.
 *
 * @param path of the file, for messages
 * @throws {JudgeError} if the file holds no judge, or that of other data
 * @throws {SafetensorsError} if the file is damaged
 * @throws {StateError} if the weights are not those of the classifier, or are not finite
 */
export async function openJudge(
  bytes: Uint8Array<ArrayBuffer>,
  path: string,
  data: JudgedData,
  source: DataJudge["source"],
): Promise<DataJudge> {
  const judge = loadJudge(bytes, path);
  checkJudge(judge.info, data, await digestOf(data), path);
  return {
    ...judge.info,
    ...{ bytes, digest: await sha256(bytes), source },
    judge: (pixels) => judge.judge(pixels),
  };
}
