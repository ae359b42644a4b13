import type { Check } from "../check.ts";
import { error, explanation, ok, shownBytes, warning } from "../finding.ts";
import type { Machine } from "../machine.ts";

/** What a run would train, on which device and how fast. */
export const trainingRate: Check = async (machine) => {
  const { device, settings, preset, noGpu } = machine;
  if (device instanceof Error) {
    return [error(device.message, noGpu === undefined ? "give another --device" : "see the lines above")];
  }
  const what = `${settings.model}, preset ${preset}, on ${nameOf(device)}`;
  if (settings.seconds === 0) return [ok(`${what}; not timed (--seconds 0)`, chosen(machine))];
  try {
    const { imagesPerSecond, stepMilliseconds, batchSize, parameters, plannedBytes, reduced } = await machine
      .rate();
    const values = {
      ...chosen(machine),
      ...{ imagesPerSecond, stepMilliseconds, batchSize, parameters, plannedBytes },
    };
    const says =
      `${what}: ${imagesPerSecond.toPrecision(3)} images/s, ${stepMilliseconds.toPrecision(3)} ms ` +
      `a step of ${batchSize}, ${shownBytes(plannedBytes)} planned`;
    if (reduced === undefined) return [ok(says, values)];
    return [warning(`${says}; ${reduced}`, "give training more memory, or set --batch-size to that", values)];
  } catch (cause) {
    const { says, advice } = explanation(cause, "try --device cpu");
    return [error(`${what}: ${says}`, advice, chosen(machine))];
  }
};

function nameOf({ kind, description }: { readonly kind: string; readonly description: string }): string {
  return kind === "cpu" ? `the CPU device (${description})` : description;
}

function chosen({ device, settings: { model }, preset }: Machine) {
  if (device instanceof Error) return { model, preset };
  return { model, preset, device: device.kind, description: device.description };
}
