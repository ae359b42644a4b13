import { reasonOf } from "../../../run/atomic_write.ts";
import { ConfigError, type Values } from "../../../settings/setting.ts";
import { type JobSettings, type slurmFlags, slurmProfile } from "../../../settings/tasks/slurm.ts";

/**
 * Settings of the jobs: flags go before the profile.
 *
 * @throws {ConfigError} if the profile cannot be read, or holds what no job can have
 */
export function jobSettings(flags: Values<typeof slurmFlags>): JobSettings {
  const given = Object.entries(flags).filter(([name, value]) => name in slurmProfile.rows && value !== null);
  const profile = flags.profile === null ? slurmProfile.resolve({}) : readProfile(flags.profile);
  return { ...profile, ...Object.fromEntries(given) };
}

function readProfile(path: string): JobSettings {
  let json: unknown;
  try {
    json = JSON.parse(Deno.readTextFileSync(path));
  } catch (error) {
    const reason = error instanceof SyntaxError
      ? "it holds no JSON"
      : error instanceof Deno.errors.NotFound
      ? "there is no such file"
      : reasonOf(error);
    throw new ConfigError(`Cannot read the profile ${path}: ${reason}`);
  }
  return slurmProfile.read(json, path);
}
