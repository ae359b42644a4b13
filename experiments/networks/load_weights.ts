import { UserError } from "../../kernels/mod.ts";
import { type Checkpoint, decodeSafetensors, loadCheckpoint, type LoadOptions } from "../../models/mod.ts";
import { ConfigError } from "../cli/setting.ts";
import { importedElsewhere, linkedModule } from "./module_sources.ts";
import { moduleError, networkWithDigest } from "./own_network.ts";

/**
 * Creates the network of a checkpoint, as `loadCheckpoint` does. A custom one is created by the program that its run
 * keeps, if the user has named it.
 *
 * @param options with `make` for a custom network that a program saved without the digest of its module
 * @throws {ConfigError} if there is no such program, or the user has not named it
 * @throws as `loadCheckpoint`
 */
export async function loadWeights(
  bytes: Uint8Array,
  source: string,
  options: LoadOptions = {},
): Promise<Checkpoint> {
  const own = ownConfigIn(bytes, source);
  if (!own) return loadCheckpoint(bytes, source, options);
  const network = own.digest === undefined && options.make
    ? { make: options.make, file: own.name }
    : await networkWithDigest(own.name, own.digest, source);
  try {
    return loadCheckpoint(bytes, source, { ...options, make: network.make });
  } catch (error) {
    throw error instanceof UserError
      ? error
      : moduleError(network.file, `making the network of ${source}: `, error);
  }
}

/** The name and the digest of a custom network in a checkpoint; undefined if it is not custom. */
export function ownConfigIn(
  bytes: Uint8Array,
  source: string,
): { readonly name: string; readonly digest?: string } | undefined {
  const { metadata } = decodeSafetensors(bytes, source);
  try {
    const { type, name, digest } = JSON.parse(metadata.config);
    return type === "own" ? { name: String(name), ...digest && { digest: String(digest) } } : undefined;
  } catch {
    return undefined; // `loadCheckpoint` reports the error
  }
}

/**
 * The program of a checkpoint's network for a page, as the address of a module, or why a page cannot run it, as the end
 * of a sentence.
 */
export async function pageProgram(
  { name, digest }: { readonly name: string; readonly digest?: string },
  checkpoint: string,
): Promise<string | { readonly why: string }> {
  try {
    const { sources } = await networkWithDigest(name, digest, checkpoint);
    const elsewhere = importedElsewhere(sources);
    if (elsewhere !== undefined) {
      return { why: `its network ${name} imports ${elsewhere}, and a page holds only the library` };
    }
    return linkedModule(sources, true);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return { why: error.message.replace(/^.*?: /, "") };
  }
}
