import { planMemory } from "../../kernels/mod.ts";
import { decodeSafetensors, encodeSafetensors } from "../files/safetensors.ts";
import { checkFinite, checkState, type State } from "../files/state.ts";
import { blankInitialiser } from "../nn/initialiser.ts";
import { loadState, namedParameters } from "../nn/module.ts";
import { Classifier } from "./classifier.ts";
import { Judge } from "./judge.ts";
import { JudgeError } from "./judge_error.ts";
import { type JudgeInfo, readJudgeInfo } from "./judge_info.ts";

/** The kind of network and the version of the format, as files name them. */
const kind = { format_version: "1", network: "Classifier" };

/**
 * Encodes a judge as a safetensors file: the weights of its classifier by name, the rest as metadata.
 *
 * @returns the bytes of the file, the same for the same judge
 * @throws {JudgeError} if a field of `info` is missing or not as expected
 */
export function saveJudge(weights: State, info: JudgeInfo): Uint8Array<ArrayBuffer> {
  const judge = JSON.stringify(info);
  readJudgeInfo(judge, "what saveJudge() would write");
  return encodeSafetensors(weights, { ...kind, judge });
}

/** What the file of a judge holds. */
export interface JudgeFile {
  /** Weights of the classifier by name. */
  readonly tensors: State;
  /** What the file says of its judge. */
  readonly info: JudgeInfo;
}

/**
 * Reads a judge without making its network, which `loadJudge` does. Needs no device.
 *
 * @param bytes the safetensors file
 * @param source name of the file, for messages
 * @throws {JudgeError} if the file holds another network, or what it says of its judge is damaged
 * @throws {SafetensorsError} if the file is damaged
 * @throws {StateError} if weights are not finite
 */
export function decodeJudge(bytes: Uint8Array, source: string): JudgeFile {
  const { tensors, metadata } = decodeSafetensors(bytes, source);
  const { format_version: version, network, judge } = metadata;
  if (network !== kind.network || judge === undefined) {
    throw new JudgeError(
      `Cannot load ${source}: it holds no judge (expected the network ${kind.network}); ` +
        "make one with deno task judge",
    );
  }
  if (version !== kind.format_version) {
    const given = String(version).slice(0, 60);
    throw new JudgeError(
      `Cannot load ${source}: its format is ${given} (expected ${kind.format_version}); use a newer program`,
    );
  }
  const info = readJudgeInfo(judge, source);
  checkFinite(tensors, source);
  return { tensors, info };
}

/**
 * Loads a judge onto the current device.
 *
 * @throws as `decodeJudge`
 * @throws {StateError} if the weights are not those of the classifier
 */
export function loadJudge(bytes: Uint8Array, source: string): Judge {
  const { tensors, info } = decodeJudge(bytes, source);
  // A trace allocates nothing, so a file with wrong sizes costs no memory.
  planMemory(() => checkState(namedParameters(new Classifier(info, blankInitialiser)), tensors, source));
  const classifier = new Classifier(info, blankInitialiser);
  loadState(classifier, tensors, source);
  return new Judge(classifier, info);
}
