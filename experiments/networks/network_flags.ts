import { basename } from "node:path";
import { modelText, ownModel, unetSettings } from "../cli/shared.ts";
import {
  ConfigError,
  defineSettings,
  flagOf,
  type Flags,
  type Rows,
  Settings,
  type Values,
} from "../cli/settings.ts";
import { trainingConfig } from "../cli/training_config.ts";
import { findConfig } from "../tracking/find_run.ts";
import { chosenNetwork, nameNetwork, type OwnNetwork } from "./own_network.ts";

/**
 * The settings of a command line: if `--model` names a module, they have a flag for each option of its network, in place
 * of the flags of U-Nets.
 *
 * @throws {ConfigError} if the module cannot be used, an option has the name of another flag, or `--config` needs a module
 */
export async function settingsWithNetwork<Table extends Rows>(
  settings: Settings<Table>,
  argv: readonly string[],
): Promise<Settings<Table>> {
  const valueOf = (flag: string) => {
    const at = argv.findIndex((word) => word === flag || word.startsWith(`${flag}=`));
    return at < 0 ? undefined : argv[at].slice(flag.length + 1) || argv[at + 1];
  };
  const [named, config] = [valueOf("--model"), valueOf("--config")];
  const own = ownModel(named);
  if (own) return new SettingsWithNetwork(settings, await nameNetwork(own.file));
  if (named !== undefined || config === undefined || !Object.hasOwn(settings.rows, "config")) return settings;
  const { model } = trainingConfig({ config: await findConfig(config) });
  if (!argv.includes("--help")) chosenNetwork(model, config); // before its options are refused as unknown flags
  return settings;
}

/** Settings whose flags set the options of a network in the setting `model`. */
class SettingsWithNetwork<Table extends Rows> extends Settings<Table> {
  readonly #network: OwnNetwork;
  readonly #flags: Settings<Rows>;

  constructor(settings: Settings<Table>, network: OwnNetwork) {
    super(settings.rows, settings.headings);
    this.#network = network;
    const { file, rows } = network;
    const unets: readonly string[] = unetSettings;
    const { model, ...taskRows } = settings.rows;
    const kept = Object.entries(taskRows).filter(([name]) => !unets.includes(name));
    const taken = kept.find(([name]) => Object.hasOwn(rows, name));
    if (taken) {
      const flag = flagOf(taken[0]);
      throw new ConfigError(
        `Cannot use ${file}: its option ${taken[0]} has the flag ${flag} of the task (rename it)`,
      );
    }
    const [first] = Object.keys(rows);
    this.#flags = defineSettings({ model, ...rows, ...Object.fromEntries(kept) }, {
      ...settings.headings,
      ...first !== undefined && { [first]: `Options of ${basename(file)}` },
    });
  }

  override parse(argv: readonly string[], takesWords?: boolean): Flags<Table> {
    const { values, ...flags } = this.#flags.parse(argv, takesWords);
    const { rows } = this.#network;
    const { file, options, digest } = ownModel(values.model)!;
    const twice = options.keys().find((name) => name in values);
    if (twice !== undefined) {
      throw new ConfigError(
        `Cannot use ${flagOf(twice)}: --model ${values.model} sets it (expected one of them)`,
      );
    }
    const all = Object.entries(values);
    const own = Object.fromEntries(all.filter(([name]) => Object.hasOwn(rows, name))) as Values<typeof rows>;
    const model = modelText(file, { ...Object.fromEntries(options), ...own }, digest);
    const taskValues = all.filter(([name]) => !Object.hasOwn(rows, name));
    return {
      ...flags,
      values: { ...Object.fromEntries(taskValues), model } as unknown as Partial<Values<Table>>,
    };
  }

  override help(usage: string, about: string, preset?: Partial<Values<Table>>, all?: boolean): string {
    return this.#flags.help(usage, about, preset, all);
  }
}
