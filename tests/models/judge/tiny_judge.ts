import { Classifier, type JudgeInfo, randomInitialiser, saveJudge, stateOf } from "../../../models/mod.ts";

/** What the tests say of a judge that has learned nothing. */
export const info: JudgeInfo = {
  ...{ classes: 3, channels: 2, height: 5, width: 4, normalization: { scale: 2, shift: -1 } },
  ...{
    dataDigest: "0123456789abcdef".repeat(4),
    accuracy: 0.25,
    seed: 1,
    steps: 7,
    command: "deno task judge",
  },
};

/** The file of a judge that has learned nothing, on the device in use. */
export async function tinyJudge(changes: Partial<JudgeInfo> = {}): Promise<Uint8Array<ArrayBuffer>> {
  const told = { ...info, ...changes };
  return saveJudge(await stateOf(new Classifier(told, randomInitialiser(told.seed))), told);
}
