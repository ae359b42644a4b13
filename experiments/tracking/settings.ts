import { ConfigError } from "../settings/setting.ts";
import { parseAddress, type ServerAddress } from "./address.ts";
import { mlflowPatience, type Patience } from "./retry.ts";

/** The environment variables that tracking reads, all of them MLflow's. */
export const variables = [
  "MLFLOW_TRACKING_URI",
  "MLFLOW_EXPERIMENT_NAME",
  "MLFLOW_RUN_NAME",
  "MLFLOW_TRACKING_USERNAME",
  "MLFLOW_TRACKING_PASSWORD",
  "MLFLOW_TRACKING_TOKEN",
  "MLFLOW_HTTP_REQUEST_MAX_RETRIES",
  "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR",
  "MLFLOW_HTTP_REQUEST_TIMEOUT",
] as const;

/** Values of the variables that are set. */
export type Environment = Readonly<Partial<Record<typeof variables[number], string>>>;

/** The default experiment: the study's. */
export const defaultExperiment = "UNet_FM";

/** Where a run is recorded besides its folder. */
export interface Choice {
  /** Not given: nowhere. */
  readonly address?: ServerAddress;
  readonly patience: Patience;
  readonly experiment: string;
  /** Default: the folder's name. */
  readonly runName?: string;
}

/** Reads the variables; one without permission counts as not set. Never prompts. */
export function readEnvironment(): Environment {
  const set = variables.flatMap((variable) => {
    const { state } = Deno.permissions.querySync({ name: "env", variable });
    const value = state === "granted" ? Deno.env.get(variable) : undefined;
    return value === undefined || value === "" ? [] : [[variable, value]];
  });
  return Object.fromEntries(set);
}

/**
 * Chooses where a run is recorded: by flags, else by MLflow's environment. Credentials of the environment go only to a
 * server that one of these names, never to one that a run folder names.
 *
 * @param flags the command line; null is not given
 * @param known the server that already has the run, used if neither names one
 * @throws {ConfigError} if the server's address or a number cannot be used, or the program may not reach it
 */
export function chooseTracking(
  flags: {
    readonly mlflow?: string | null;
    readonly experiment?: string | null;
    readonly runName?: string | null;
  },
  environment: Environment,
  known?: string,
): Choice {
  const [uri, source] = flags.mlflow
    ? [flags.mlflow, "--mlflow"]
    : environment.MLFLOW_TRACKING_URI
    ? [environment.MLFLOW_TRACKING_URI, "MLFLOW_TRACKING_URI"]
    : [known, "the run's server"];
  const credentials = flags.mlflow || environment.MLFLOW_TRACKING_URI
    ? {
      username: environment.MLFLOW_TRACKING_USERNAME,
      password: environment.MLFLOW_TRACKING_PASSWORD,
      token: environment.MLFLOW_TRACKING_TOKEN,
    }
    : {};
  const address = uri === undefined ? undefined : parseAddress(uri, source, credentials);
  if (address) checkNetwork(address);
  const runName = flags.runName ?? environment.MLFLOW_RUN_NAME;
  return {
    ...address && { address },
    patience: patienceOf(environment),
    experiment: flags.experiment ?? environment.MLFLOW_EXPERIMENT_NAME ?? defaultExperiment,
    ...runName && { runName },
  };
}

/** The longest time of a timer, 24 days: with a longer one it ends at once. */
const longestMs = 2 ** 31 - 1;

function patienceOf(environment: Environment): Patience {
  const { maxRetries, backoffFactor, timeoutMs } = mlflowPatience;
  return {
    maxRetries: numberOf(environment, "MLFLOW_HTTP_REQUEST_MAX_RETRIES", maxRetries),
    backoffFactor: numberOf(environment, "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR", backoffFactor),
    timeoutMs: Math.min(
      1000 * numberOf(environment, "MLFLOW_HTTP_REQUEST_TIMEOUT", timeoutMs / 1000),
      longestMs,
    ),
  };
}

function numberOf(environment: Environment, name: keyof Environment, otherwise: number): number {
  const text = environment[name];
  if (text === undefined) return otherwise;
  const value = Number(text);
  if (text.trim() !== "" && value >= 0 && Number.isFinite(value)) return value;
  throw new ConfigError(`Cannot use ${name} ${JSON.stringify(text)}: expected a number of at least 0`);
}

function checkNetwork({ url }: ServerAddress): void {
  const { host } = new URL(url);
  if (Deno.permissions.querySync({ name: "net", host }).state === "granted") return;
  throw new ConfigError(
    `Cannot send runs to ${url}: the program may not use the network (--allow-net=${host})`,
  );
}
