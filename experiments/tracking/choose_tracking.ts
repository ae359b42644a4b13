import { serverUrl, shownAddress, startCommand } from "../run/program_files.ts";
import { ConfigError } from "../cli/setting.ts";
import { readCursor } from "./cursor.ts";

/** The environment variables of MLflow that tracking reads. */
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

/** The values of those variables that are set. */
export type TrackingEnvironment = Readonly<Partial<Record<typeof variables[number], string>>>;

/** Default experiment, as in the original study. */
const defaultExperiment = "UNet_FM";

/** How often a request is retried, and how long an attempt may take. */
export interface RetryPolicy {
  /** Attempts after the first one. */
  readonly maxRetries: number;
  /** Seconds before the second retry, doubled with each further one; the first retry is immediate. */
  readonly backoffFactor: number;
  /** An attempt fails after this many milliseconds without a response or progress of an upload. */
  readonly timeoutMs: number;
}

/** Where to record a run in addition to its folder. */
export interface TrackingChoice {
  /** The server; without one, the run is recorded only in its folder. */
  readonly target?: Target;
  readonly experiment: string;
  /** Default: the folder's name. */
  readonly runName?: string;
}

/** A server that runs are sent to. */
export interface Target {
  readonly address: ServerAddress;
  readonly patience: RetryPolicy;
}

/** The flags that choose where to record a run; null if absent. */
export interface TrackingFlags {
  readonly mlflow?: string | null;
  readonly experiment?: string | null;
  readonly runName?: string | null;
}

/**
 * Chooses where to record a run: by flags, or else by MLflow's environment variables, or else on the server that already
 * has the run.
 *
 * @param run the folder of the run, if it already exists
 * @throws {ConfigError} if the server's address or a number cannot be used, or the program may not reach the server
 * @throws {RunError} if the run's `mlflow.json` cannot be read
 */
export async function trackingOf(flags: TrackingFlags, run: string | null): Promise<TrackingChoice> {
  const ownServer = run === null ? undefined : (await readCursor(run))?.server;
  return chooseTracking(flags, readEnvironment(), ownServer);
}

/**
 * Chooses where to record a run. Credentials from the environment go only to a server named by a flag or the environment,
 * never to one named in a run folder.
 *
 * @param ownServer the server that has the run, used if neither flags nor environment name one
 * @throws {ConfigError} if the server's address or a number cannot be used, or the program may not reach the server
 */
export function chooseTracking(
  flags: TrackingFlags,
  environment: TrackingEnvironment = readEnvironment(),
  ownServer?: string,
): TrackingChoice {
  const named = flags.mlflow || environment.MLFLOW_TRACKING_URI;
  const source = flags.mlflow ? "--mlflow" : named ? "MLFLOW_TRACKING_URI" : "the run's server";
  const uri = named || ownServer;
  const address = uri === undefined ? undefined : parseAddress(uri, source, named ? environment : {});
  if (address) checkNetwork(address);
  const runName = flags.runName ?? environment.MLFLOW_RUN_NAME;
  // Defaults as in MLflow's own client. A timer of more than 2^31 ms (24 days) would fire immediately.
  const seconds = numberOf(environment, "MLFLOW_HTTP_REQUEST_TIMEOUT", 120);
  const patience = {
    maxRetries: numberOf(environment, "MLFLOW_HTTP_REQUEST_MAX_RETRIES", 7),
    backoffFactor: numberOf(environment, "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR", 2),
    timeoutMs: Math.min(1000 * seconds, 2 ** 31 - 1),
  };
  return {
    ...address && { target: { address, patience } },
    experiment: flags.experiment ?? environment.MLFLOW_EXPERIMENT_NAME ?? defaultExperiment,
    ...runName && { runName },
  };
}

/** Reads the variables without prompting: one that may not be read counts as unset. */
function readEnvironment(): TrackingEnvironment {
  const mayRead = variables.filter((variable) =>
    Deno.permissions.querySync({ name: "env", variable }).state === "granted"
  );
  return Object.fromEntries(mayRead.map((variable) => [variable, Deno.env.get(variable) || undefined]));
}

function numberOf(
  environment: TrackingEnvironment,
  name: keyof TrackingEnvironment,
  otherwise: number,
): number {
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

/** The address of an MLflow server. Its credentials are private: they appear in no log, error or JSON. */
export class ServerAddress {
  /** Without credentials and without a trailing slash. */
  readonly url: string;
  readonly #authorization: string | undefined;

  constructor(url: string, authorization?: string) {
    this.url = url;
    this.#authorization = authorization;
  }

  /** Whether the server gets credentials; its responses, which may repeat them, are then not shown. */
  get hasCredentials(): boolean {
    return this.#authorization !== undefined;
  }

  /** The headers that authorise a request. */
  get headers(): Record<string, string> {
    return this.#authorization === undefined ? {} : { authorization: this.#authorization };
  }
}

/**
 * Parses the address of an MLflow server. As in MLflow, credentials in it take precedence over the user and password in
 * the environment, and these over a token.
 *
 * @param uri e.g. `http://127.0.0.1:5000` or `https://user:password@host/mlflow`
 * @param source the flag or variable that set it, for errors
 * @throws {ConfigError} if it is not an HTTP address; the message contains no credentials
 */
export function parseAddress(
  uri: string,
  source: string,
  environment: TrackingEnvironment = {},
): ServerAddress {
  const safe = shownAddress(uri);
  const shown = safe === "" ? source : `${source} ${JSON.stringify(safe)}`;
  const url = serverUrl(uri);
  if (url === undefined || url.search !== "" || url.hash !== "") {
    throw new ConfigError(
      `Cannot use ${shown}: expected the address of a server, such as http://127.0.0.1:5000 (${
        startCommand("mlflow")
      } starts one)`,
    );
  }
  const { MLFLOW_TRACKING_USERNAME: user, MLFLOW_TRACKING_PASSWORD: password, MLFLOW_TRACKING_TOKEN: token } =
    environment;
  if (url.username !== "" || url.password !== "") {
    return withPassword(safe, decoded(url.username, shown), decoded(url.password, shown));
  }
  if (user) return withPassword(safe, user, password ?? "");
  if (!token) return new ServerAddress(safe);
  if (/^[\x21-\x7e]+$/.test(token)) return new ServerAddress(safe, `Bearer ${token}`);
  // Deno's own error would show the token.
  throw new ConfigError("Cannot use MLFLOW_TRACKING_TOKEN: it contains characters that tokens cannot have");
}

function withPassword(url: string, user: string, password: string): ServerAddress {
  return new ServerAddress(url, `Basic ${new TextEncoder().encode(`${user}:${password}`).toBase64()}`);
}

function decoded(text: string, shown: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw new ConfigError(`Cannot use ${shown}: the user or password before @ is not percent-encoded`);
  }
}
