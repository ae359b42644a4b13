import { ServerError } from "./http.ts";

/** Most folders that are asked for, and files that are listed. */
const most = { folders: 500, files: 100_000, depth: 20 } as const;

/** An entry of a folder as a server lists it. */
export interface ListedFile {
  /** From the top folder on. */
  readonly path: string;
  readonly isFolder: boolean;
}

/**
 * Lists all files below the top folder, one folder after the other. A list that contains itself or grows without end is
 * refused: entries lie directly in the folder that was asked for, and their number is limited.
 *
 * @param listFolder asks the server for the entries of a folder; the top folder is an empty text
 * @param url the server, for errors
 * @throws {ServerError} if a list is impossible or too long
 */
export async function listArtifacts(
  listFolder: (folder: string) => Promise<readonly ListedFile[]>,
  url: string,
): Promise<string[]> {
  const folders = new Set([""]);
  const files: string[] = [];
  for (const folder of folders) { // grows meanwhile
    for (const { path, isFolder } of await listFolder(folder)) {
      const below = folder === "" ? "" : `${folder}/`;
      const name = path.slice(below.length);
      if (!path.startsWith(below) || !isName(name)) {
        throw refusal(url, `lists ${JSON.stringify(path)} in the folder ${JSON.stringify(folder)}`);
      }
      if (isFolder) folders.add(path);
      else files.push(path);
    }
    const tooMany = folders.size > most.folders || files.length > most.files;
    if (tooMany || folder.split("/").length > most.depth) throw refusal(url, "lists files without end");
  }
  return files;
}

/**
 * The path by which a server's API takes and gives an artifact.
 *
 * @param artifactUri where the server says that a run's artifacts are
 * @param path of the artifact, in the run
 * @throws {ServerError} if the server keeps artifacts elsewhere, or the path would leave the API
 */
export function artifactPath(url: string, artifactUri: string, path: string): string {
  const rest = /^mlflow-artifacts:(?:\/\/[^/]*)?\/(.*)$/s.exec(artifactUri)?.[1];
  if (rest === undefined) {
    const scheme = /^[a-z][a-z0-9+-]{0,20}:/i.exec(artifactUri)?.[0] ?? "elsewhere";
    throw new ServerError(
      `${url} keeps artifacts elsewhere (${scheme}) and takes none itself; start it with --serve-artifacts`,
      { passing: false, code: "NO_ARTIFACTS" },
    );
  }
  const segments = [...rest.split("/"), ...path.split("/")].filter((segment) => segment !== "");
  if (segments.some((segment) => segment === "." || segment === "..")) {
    throw refusal(
      url,
      `names an artifact outside its artifacts: ${JSON.stringify(`${artifactUri}/${path}`)}`,
    );
  }
  const encoded = segments.map((segment) => encodeURIComponent(segment.toWellFormed()));
  return `/api/2.0/mlflow-artifacts/artifacts/${encoded.join("/")}`;
}

function isName(name: string): boolean {
  return name !== "" && name !== "." && name !== ".." && !name.includes("/");
}

function refusal(url: string, what: string): ServerError {
  return new ServerError(`${url} is not an MLflow server: it ${what.slice(0, 300)}`, { passing: false });
}
