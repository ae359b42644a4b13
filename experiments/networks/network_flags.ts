import { basename } from "node:path";
import { modelText, ownModel, unetSettings } from "../settings/model_setting.ts";
import { ConfigError, flagOf, type Rows, type Values } from "../settings/setting.ts";
import { defineSettings, type Flags, Settings } from "../settings/settings.ts";
import { nameNetwork, type OwnNetwork } from "./own_network.ts";

/**
 * The settings of a command line: if it names a module with `--model`, with a flag for each option of the network, in
 * place of what only U-Nets have.
 *
 * @throws {ConfigError} if the module cannot be used, or an option has the name of another flag
 */
export async function settingsWithNetwork<Table extends Rows>(
  settings: Settings<Table>,
  argv: readonly string[],
): Promise<Settings<Table>> {
  const at = argv.findIndex((word) => word === "--model" || word.startsWith("--model="));
  const own = at < 0 ? undefined : ownModel(argv[at].slice("--model=".length) || argv[at + 1]);
  return own ? new SettingsWithNetwork(settings, await nameNetwork(own.file)) : settings;
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
    const { model, ...others } = settings.rows;
    const kept = Object.entries(others).filter(([name]) => !unets.includes(name));
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
    const { file, rows } = this.#network;
    const { given } = ownModel(values.model)!;
    const twice = given.keys().find((name) => name in values);
    if (twice !== undefined) {
      throw new ConfigError(
        `Cannot use ${flagOf(twice)}: --model ${values.model} sets it (expected one of them)`,
      );
    }
    const all = Object.entries(values);
    const own = Object.fromEntries(all.filter(([name]) => Object.hasOwn(rows, name))) as Values<typeof rows>;
    const model = modelText(file, { ...Object.fromEntries(given), ...own });
    const others = all.filter(([name]) => !Object.hasOwn(rows, name));
    return { ...flags, values: { ...Object.fromEntries(others), model } as Partial<Values<Table>> };
  }

  override help(usage: string, about: string, preset?: Partial<Values<Table>>): string {
    return this.#flags.help(usage, about, preset);
  }
}
