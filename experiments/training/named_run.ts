import { ownModel } from "../cli/shared.ts";
import { say } from "../cli/output.ts";
import { parseInit } from "../cli/stored_network.ts";
import { type GivenSettings, trainingConfig } from "../cli/training_config.ts";
import { isFile } from "../draw/load_network.ts";
import { chosenNetwork } from "../networks/own_network.ts";
import { lockRun, type RunLock } from "../run/run_folder.ts";
import { findConfig, findRun } from "../tracking/find_run.ts";

/** The network of a run that names none. */
export const defaultModel = "residual";

/** The settings of a command line, with the folders of the runs that it names. */
export interface NamedRun extends Disposable {
  readonly values: GivenSettings;
  /** The lock of the run to resume, which nobody else changes from now on. */
  readonly lock: RunLock | undefined;
}

/**
 * Finds the runs that a command line names, locks the one to resume, and checks that their own networks are there.
 *
 * @param locks whether the run will be written
 * @throws {ConfigError} if there is no such run or file
 * @throws {RunError} if another program works on the run to resume
 */
export async function findNamed(given: GivenSettings, locks: boolean): Promise<NamedRun> {
  const { resume, config, init, teacher } = given;
  const named = {
    ...!(resume || config || init || teacher) && { model: defaultModel },
    ...given,
    ...resume && { resume: await findRun(resume) },
    ...config && { config: await findConfig(config) },
    ...init && { init: await findInit(init) },
  };
  checkNetwork(named);
  const lock = named.resume && locks ? await lockRun(named.resume) : undefined;
  return { values: named, lock, [Symbol.dispose]: () => lock?.[Symbol.dispose]() };
}

/** The setting `init` with the folder of a run that it names. */
async function findInit(init: string): Promise<string> {
  const { source } = parseInit(init);
  return isFile(source) ? init : await findRun(source) + init.slice(source.length);
}

/** Fails before anything else happens if a run needs the module of its network, or that has changed. */
function checkNetwork(values: GivenSettings): void {
  const source = values.resume ?? values.config ?? values.init ?? values.teacher;
  if (typeof source !== "string") return;
  const network = chosenNetwork(trainingConfig(values).model, parseInit(source).source);
  if (!network || typeof values.config !== "string") return;
  const { digest } = ownModel(trainingConfig({ config: values.config }).model) ?? {};
  if (digest !== undefined && digest !== network.digest) {
    say(`${network.file} has changed since ${values.config}: this run trains it as it is now`);
  }
}
