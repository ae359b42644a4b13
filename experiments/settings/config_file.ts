/** `config.json`: reading it, and writing it. */

import { join } from "node:path";
import { ConfigError, type Values } from "../cli/settings.ts";
import { runFile } from "../run/files.ts";
import { findContained, RunError } from "../run/run_folder.ts";
import { parseNetwork, unetSettings } from "./network.ts";
import { presets } from "./presets.ts";
import { fields, fieldsOfRun, type RunConfig, runConfig } from "./run_config.ts";

/**
 * Reads the settings of a run.
 *
 * @param source its folder, or a `config.json`
 * @throws {ConfigError} if the file cannot be read or a field is invalid
 */
export function readConfig(source: string): RunConfig {
  const path = configPath(source);
  return configIn(readJson(path), path);
}

/** The file with the settings of a run. @param source its folder, or the file itself */
export function configPath(source: string): string {
  return isFile(source) ? source : join(source, runFile.config);
}

function isFile(path: string): boolean {
  try {
    return Deno.statSync(path).isFile;
  } catch {
    return false; // reading it reports the error
  }
}

/** The settings in parsed JSON. @param source of it, for errors @throws {ConfigError} if a field is invalid */
export function configIn(json: unknown, source: string): RunConfig {
  return runConfig(fields.read(completed(json), source), ` (in ${source})`);
}

/** Settings as `config.json` has them. */
export function configJson(config: RunConfig): Record<string, unknown> {
  const written = fields.write(fieldsOfRun(config));
  // A server address may contain a password; a resumed run finds it in mlflow.json.
  const all = { ...written, resume: null, mlflow: null };
  if (config.model.kind === "unet") return all;
  const unetOnly: readonly string[] = unetSettings;
  return Object.fromEntries(Object.entries(all).filter(([name]) => !unetOnly.includes(name)));
}

/** The valid settings in a `config.json` that another program may have written. */
export function settingsIn(json: Readonly<Record<string, unknown>>): Partial<Values<typeof fields.rows>> {
  return fields.readSome(json);
}

/** The module that the settings in a folder name; undefined if they name none, or cannot be read. */
export function moduleOf(run: string): string | undefined {
  try {
    const { model } = settingsIn(Object(readJson(join(run, runFile.config))));
    return model?.kind === "module" ? model.file : undefined;
  } catch (error) {
    if (error instanceof ConfigError) return undefined;
    throw error;
  }
}

/** Adds what {@linkcode configJson} has left out. */
function completed(json: unknown): unknown {
  if (typeof json !== "object" || json === null || !("model" in json)) return json;
  if (parseNetwork(`${json.model}`)?.kind !== "module") return json;
  const { filters, tEmb } = presets.quick;
  return { filters, tEmb, ...json };
}

function readJson(path: string): unknown {
  try {
    if (findContained(path) !== undefined) return JSON.parse(Deno.readTextFileSync(path));
  } catch (error) {
    if (error instanceof RunError) throw new ConfigError(error.message);
    throw new ConfigError(`Cannot read ${path}: ${error instanceof Error ? error.message : error}`);
  }
  throw new ConfigError(`Cannot read ${path}: there is no such file (expected the folder of a run)`);
}
