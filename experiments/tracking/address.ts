import { withoutCredentials } from "../run/without_credentials.ts";
import { ConfigError } from "../settings/setting.ts";

/** An MLflow server and how to be let in. The secrets are private: no log, error or JSON of it holds them. */
export class ServerAddress {
  /** Without credentials and without a slash at the end. */
  readonly url: string;
  readonly #authorization: string | undefined;
  readonly #secrets: readonly string[];

  constructor(url: string, authorization: string | undefined, secrets: readonly string[]) {
    this.url = url;
    this.#authorization = authorization;
    this.#secrets = secrets.filter((secret) => secret !== "").sort((a, b) => b.length - a.length);
  }

  /** What a request must carry to be let in. */
  get headers(): Record<string, string> {
    return this.#authorization === undefined ? {} : { authorization: this.#authorization };
  }

  /** A text from elsewhere without the secrets it may repeat. */
  hide(text: string): string {
    return this.#secrets.reduce((rest, secret) => rest.replaceAll(secret, "***"), text);
  }
}

/** Who one is to the server, where its address does not say it: MLflow's own environment variables. */
export interface Credentials {
  readonly username?: string | undefined;
  readonly password?: string | undefined;
  readonly token?: string | undefined;
}

/**
 * Reads the address of an MLflow server. Credentials in it come before a user and password of the environment, and
 * these before a token, as in MLflow.
 *
 * @param uri e.g. `http://127.0.0.1:5000` or `https://user:password@host/mlflow`
 * @param source the flag or variable that gave it, for errors
 * @throws {ConfigError} if it names no server that speaks HTTP; the message holds no credentials
 */
export function parseAddress(uri: string, source: string, credentials: Credentials = {}): ServerAddress {
  const shown = `${source} ${JSON.stringify(withoutCredentials(uri))}`;
  const scheme = /^([a-z][a-z0-9+.-]*):/i.exec(uri)?.[1].toLowerCase();
  const local = scheme === undefined || scheme === "file" || /^[a-z]$/.test(scheme);
  if (local || (scheme !== "http" && scheme !== "https")) {
    const why = local
      ? "it names a folder, and runs are sent to a server only (the run folder itself needs no setting)"
      : `it names a ${scheme} store, and runs are sent over HTTP only`;
    throw new ConfigError(
      `Cannot use ${shown}: ${why}; start a server, with deno task mlflow or mlflow server, and give its http:// address`,
    );
  }
  const url = URL.parse(uri);
  if (url === null || url.search !== "" || url.hash !== "") {
    throw new ConfigError(`Cannot use ${shown}: expected an address such as http://127.0.0.1:5000`);
  }
  const inside = url.username !== "" || url.password !== "";
  const { authorization, secrets } = inside
    ? basic(decoded(url.username, shown), decoded(url.password, shown))
    : credentials.username
    ? basic(credentials.username, credentials.password ?? "")
    : credentials.token
    ? bearer(credentials.token)
    : { authorization: undefined, secrets: [] };
  const plain = url.origin + url.pathname.replace(/\/+$/, "");
  return new ServerAddress(plain, authorization, inside ? [...secrets, url.password] : secrets);
}

function basic(username: string, password: string) {
  const encoded = new TextEncoder().encode(`${username}:${password}`).toBase64();
  return { authorization: `Basic ${encoded}`, secrets: [password, encoded] };
}

function bearer(token: string) {
  // Deno's own error would show the token.
  if (!/^[\x21-\x7e]+$/.test(token)) {
    throw new ConfigError("Cannot use MLFLOW_TRACKING_TOKEN: it holds characters that no token has");
  }
  return { authorization: `Bearer ${token}`, secrets: [token] };
}

function decoded(text: string, shown: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw new ConfigError(`Cannot use ${shown}: the user or password before @ is not percent-encoded`);
  }
}
