import { ownModel } from "../cli/shared.ts";
import { say } from "../cli/output.ts";
import { parseInit } from "../cli/stored_network.ts";
import { type GivenSettings, trainingConfig } from "../cli/training_config.ts";
import { isFile } from "../draw/load_network.ts";
import { chosenNetwork } from "../networks/own_network.ts";
import { findConfig, findRun } from "../tracking/find_run.ts";

/** The network of a run that names none. */
export const defaultModel = "residual";

/** Finds the runs that a command line names, and checks that their own networks are there. */
export async function findNamed(given: GivenSettings): Promise<GivenSettings> {
  const { resume, config, init, teacher } = given;
  const named = {
    ...!(resume || config || init || teacher) && { model: defaultModel },
    ...given,
    ...resume && { resume: await findRun(resume) },
    ...config && { config: await findConfig(config) },
    ...init && { init: await findInit(init) },
  };
  checkNetwork(named);
  return named;
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
