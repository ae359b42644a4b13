import { join } from "node:path";
import { serverUrl, shownAddress } from "../run/program_files.ts";
import { readJson } from "../run/run_folder.ts";
import { runFile } from "../run/files.ts";
import { ConfigError } from "../cli/settings.ts";

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

/** How often a request is retried, and how long an attempt may take. */
export interface RetryPolicy {
  readonly maxRetries: number;
  /** Seconds before the second retry, doubled with each further one. */
  readonly backoffFactor: number;
  /** An attempt fails after this many milliseconds without progress. */
  readonly timeoutMs: number;
}

/** A server that runs are sent to. */
export interface Target {
  readonly address: ServerAddress;
  readonly patience: RetryPolicy;
}

/** Where to record a run in addition to its folder; without a target, nowhere. */
export interface TrackingChoice {
  readonly target?: Target;
  readonly experiment: string;
  /** Default: the folder's name. */
  readonly runName?: string;
}

/** The flags that choose where to record a run; null if absent. */
export type TrackingFlags = Readonly<Partial<Record<"mlflow" | "experiment" | "runName", string | null>>>;

/** Chooses where to record a run; `run` is its folder, if it exists, whose server is used if no other is named. */
export async function trackingOf(flags: TrackingFlags, run: string | null): Promise<TrackingChoice> {
  const { server } = run === null ? {} : await readJson(join(run, runFile.cursor)) ?? {};
  return chooseTracking(flags, readEnvironment(), typeof server === "string" ? server : undefined);
}

/**
 * Chooses where to record a run: by flags, else by MLflow's variables, else on the server that has the run. That one
 * gets no credentials: a run folder can name any server.
 *
 * @throws {ConfigError} if the server's address or a number cannot be used
 */
export function chooseTracking(
  flags: TrackingFlags,
  environment: TrackingEnvironment = readEnvironment(),
  ownServer?: string,
): TrackingChoice {
  const named = flags.mlflow || environment.MLFLOW_TRACKING_URI;
  const source = flags.mlflow ? "--mlflow" : named ? "MLFLOW_TRACKING_URI" : "the run's server";
  const uri = named || ownServer;
  const number = (name: keyof TrackingEnvironment, usual: number) => {
    const value = Number(environment[name] ?? usual);
    if (value >= 0 && value < Infinity) return value;
    throw new ConfigError(
      `Cannot use ${name} ${JSON.stringify(environment[name])}: expected a number of at least 0`,
    );
  };
  const patience = { // the defaults of MLflow's own client
    maxRetries: number("MLFLOW_HTTP_REQUEST_MAX_RETRIES", 7),
    backoffFactor: number("MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR", 2),
    timeoutMs: Math.min(1000 * number("MLFLOW_HTTP_REQUEST_TIMEOUT", 120), 2 ** 31 - 1), // the longest timer
  };
  const runName = flags.runName ?? environment.MLFLOW_RUN_NAME;
  return {
    ...uri && { target: { address: parseAddress(uri, source, named ? environment : {}), patience } },
    experiment: flags.experiment ?? environment.MLFLOW_EXPERIMENT_NAME ?? "UNet_FM",
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

/** The address of an MLflow server. Its credentials are private: they appear in no log, error or JSON. */
export class ServerAddress {
  readonly #authorization: string | undefined;

  /** @param url without credentials and without a trailing slash */
  constructor(readonly url: string, authorization?: string) {
    this.#authorization = authorization;
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
 * @param source the flag or variable that set it, for errors
 * @throws {ConfigError} if it is not an HTTP address; the message contains no credentials
 */
export function parseAddress(uri: string, source: string, environment: TrackingEnvironment = {}) {
  const safe = shownAddress(uri);
  const refuse = (why: string) =>
    new ConfigError(`Cannot use ${safe === "" ? source : `${source} ${JSON.stringify(safe)}`}: ${why}`);
  const url = serverUrl(uri);
  if (url === undefined || url.search !== "" || url.hash !== "") {
    throw refuse(
      `expected the address of a server, such as http://127.0.0.1:5000 (mlflow server starts one)`,
    );
  }
  const token = environment.MLFLOW_TRACKING_TOKEN;
  let [user, password] = [environment.MLFLOW_TRACKING_USERNAME, environment.MLFLOW_TRACKING_PASSWORD ?? ""];
  if (url.username !== "" || url.password !== "") {
    try {
      [user, password] = [url.username, url.password].map(decodeURIComponent);
    } catch {
      throw refuse("the user or password before @ is not percent-encoded");
    }
  } else if (!user && token) {
    if (/^[\x21-\x7e]+$/.test(token)) return new ServerAddress(safe, `Bearer ${token}`);
    throw new ConfigError("Cannot use MLFLOW_TRACKING_TOKEN: it contains characters that tokens cannot have");
  }
  if (user === undefined) return new ServerAddress(safe);
  return new ServerAddress(safe, `Basic ${new TextEncoder().encode(`${user}:${password}`).toBase64()}`);
}
