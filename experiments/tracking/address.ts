import { isFolderPath, serverUrl, shownAddress, storeOf } from "../run/server_url.ts";
import { ConfigError } from "../settings/setting.ts";
import { hideSecrets } from "./hide_secrets.ts";

/** The address of an MLflow server, and credentials. These are private: no log, error or JSON of it contains them. */
export class ServerAddress {
  /** Without credentials and without a trailing slash. */
  readonly url: string;
  /** A text from elsewhere, with any secrets in it replaced, however they are encoded. */
  readonly hide: (text: string) => string;
  readonly #authorization: string | undefined;

  constructor(url: string, authorization: string | undefined, secrets: readonly string[]) {
    this.url = url;
    this.#authorization = authorization;
    this.hide = hideSecrets(secrets);
  }

  /** The headers that authorise a request. */
  get headers(): Record<string, string> {
    return this.#authorization === undefined ? {} : { authorization: this.#authorization };
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
  const safe = shownAddress(uri);
  const shown = safe === "" ? source : `${source} ${JSON.stringify(safe)}`;
  const store = storeOf(uri);
  if (store !== undefined || isFolderPath(uri) || !/[:@]/.test(uri)) {
    const why = store === undefined
      ? "it names a folder, but runs are sent only to servers (the run folder itself needs no setting)"
      : `it names a ${store} store, but runs are sent only over HTTP`;
    throw new ConfigError(
      `Cannot use ${shown}: ${why}; start a server, with deno task mlflow or mlflow server, and give its http:// address`,
    );
  }
  const url = serverUrl(uri);
  if (url === undefined || url.search !== "" || url.hash !== "") {
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
  return new ServerAddress(safe, authorization, secrets);
}

function basic(username: string, password: string) {
  // A user without a password is a token, as some servers want it.
  const encoded = new TextEncoder().encode(`${username}:${password}`).toBase64();
  return { authorization: `Basic ${encoded}`, secrets: [password || username, encoded.replace(/=+$/, "")] };
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
