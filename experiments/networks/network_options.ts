import { basename } from "node:path";
import type { OptionValue } from "../../models/mod.ts";
import { choice, integer, integers, number, text, toggle } from "../cli/kinds.ts";
import type { OwnModel } from "../cli/model_setting.ts";
import { accepted, ConfigError, didYouMean, type Setting, valueOf } from "../cli/setting.ts";

/** The options of a custom network, as settings by name. */
export type OptionRows = Readonly<Record<string, Setting<OptionValue>>>;

/** Names of the values that every network gets besides its options. */
const reserved = ["shape", "classes", "flowMap"];

/**
 * The settings that a module declares by the defaults of its options.
 *
 * @throws {ConfigError} if one has no usable name or default
 */
export function optionRows(options: unknown, file: string): OptionRows {
  if (typeof options !== "object" || options === null || Array.isArray(options)) {
    throw new ConfigError(
      `Cannot use ${file}: its options are ${options} (expected an object of defaults by name)`,
    );
  }
  return Object.fromEntries(
    Object.entries(options).map(([name, option]) => {
      if (!/^[a-z][A-Za-z0-9]*$/.test(name) || reserved.includes(name)) {
        const taken = reserved.includes(name) ? "every network gets this one" : "flags need other names";
        throw new ConfigError(
          `Cannot use ${file}: it cannot have an option ${name}: ${taken} (expected a name such as headCount)`,
        );
      }
      return [name, rowOf(name, option, file)];
    }),
  );
}

/** The setting of an option: `128`, `0.1`, `true`, `"text"`, `[16, 32]`, words to choose from, or `{ default, doc }`. */
function rowOf(name: string, option: unknown, file: string): Setting<OptionValue> {
  const declared = isDeclared(option) ? option : { default: option };
  const { default: value, doc = `option of ${basename(file)}` } = declared as {
    default: unknown;
    doc?: unknown;
  };
  const shared = { doc: String(doc) };
  if (typeof value === "boolean") return toggle({ ...shared, default: value });
  if (typeof value === "string") {
    const pattern = /^[^\p{Cc},]*$/u;
    return text({ ...shared, default: value, hint: "TEXT", pattern, expected: "text without commas" });
  }
  if (typeof value === "number" && Number.isFinite(value)) {
    return Number.isSafeInteger(value) && value > 0
      ? integer({ ...shared, min: 1, default: value })
      : number({ ...shared, default: value });
  }
  if (Array.isArray(value) && value.length > 0) {
    if (value.every((item) => Number.isSafeInteger(item) && item > 0)) {
      return integers({ ...shared, default: value });
    }
    if (value.every((item) => typeof item === "string")) {
      return choice(value, { ...shared, default: value[0] });
    }
  }
  throw new ConfigError(
    `Cannot use ${file}: its option ${name} is ${
      Deno.inspect(value)
    } (expected a default: a number, a switch, text, a list ` +
      "of whole numbers, or of words to choose from)",
  );
}

function isDeclared(option: unknown): option is { readonly default: unknown; readonly doc?: unknown } {
  return typeof option === "object" && option !== null && "default" in option;
}

/**
 * All options of a network, with those that a setting gives.
 *
 * @throws {ConfigError} if one is unknown or invalid
 */
export function chosenOptions({ file, options }: OwnModel, rows: OptionRows): Record<string, OptionValue> {
  const unknown = options.keys().find((name) => !Object.hasOwn(rows, name));
  if (unknown !== undefined) {
    const names = Object.keys(rows);
    throw new ConfigError(
      `Cannot use ${file}: it has no option ${unknown}${didYouMean(unknown, names)}; it has ${
        names.join(", ") || "none"
      }`,
    );
  }
  return Object.fromEntries(
    Object.entries(rows).map(([name, row]) => {
      const text = options.get(name);
      if (text === undefined) return [name, row.default!];
      const isSwitch = row.hint === undefined;
      const value = isSwitch ? { true: true, false: false }[text] ?? text : valueOf(row, text);
      return [name, accepted(row, value, `${name}=${text} of ${file}`)];
    }),
  );
}
