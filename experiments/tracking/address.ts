import { withoutCredentials } from "../run/without_credentials.ts";
import { ConfigError } from "../settings/setting.ts";

/** The address of an MLflow server, and credentials. These are private: no log, error or JSON of it contains them. */
export class ServerAddress {
  /** Without credentials and without a trailing slash. */
  readonly url: string;
  readonly #authorization: string | undefined;
  readonly #secrets: readonly string[];

  constructor(url: string, authorization: string | undefined, secrets: readonly string[]) {
    this.url = url;
    this.#authorization = authorization;
    this.#secrets = secrets.filter((secret) => secret !== "").sort((a, b) => b.length - a.length);
  }

  /** The headers that authorise a request. */
  get headers(): Record<string, string> {
    return this.#authorization === undefined ? {} : { authorization: this.#authorization };
  }

  /** A text from elsewhere, with any secrets in it replaced. */
  hide(text: string): string {
    return this.#secrets.reduce((rest, secret) => rest.replaceAll(secret, "***"), text);
  }
}

/** Credentials from MLflow's environment variables, used if the address has none. */
export interface Credentials {
  readonly username?: string | undefined;
  readonly password?: string | undefined;
  readonly token?: string | undefined;
}

/**
 * Parses the address of an MLflow server. As in MLflow, credentials in it take precedence over user and password of the
 * environment, and these over a token.
 *
 * @param uri e.g. `http://127.0.0.1:5000` or `https://user:password@host/mlflow`
 * @param source the flag or variable that gave it, for errors
 * @throws {ConfigError} if it is no HTTP address; the message contains no credentials
 */
export function parseAddress(uri: string, source: string, credentials: Credentials = {}): ServerAddress {
  const shown = `${source} ${JSON.stringify(withoutCredentials(uri))}`;
  const scheme = /^([a-z][a-z0-9+.-]*):/i.exec(uri)?.[1].toLowerCase();
  const local = scheme === undefined || scheme === "file" || /^[a-z]$/.test(scheme);
  if (local || (scheme !== "http" && scheme !== "https")) {
    const why = local
      ? "it names a folder, but runs are sent only to servers (the run folder itself needs no setting)"
      : `it names a ${scheme} store, but runs are sent only over HTTP`;
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
    throw new ConfigError("Cannot use MLFLOW_TRACKING_TOKEN: it contains characters that no token has");
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
