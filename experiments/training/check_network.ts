import { gradients, multiply, planMemory, sum, Tensor, tensor, zeros } from "../../kernels/mod.ts";
import { describeValue } from "../../kernels/core/checks.ts";
import { sourcesOf } from "../../kernels/autograd/gradients.ts";
import { blankInitialiser, createModel, namedParameters } from "../../models/mod.ts";
import type { ImageSize } from "../../viz/mod.ts";
import { type ChosenNetwork, moduleError } from "../networks/own_network.ts";
import { ConfigError } from "../cli/setting.ts";
import { modelOptions, type NetworkSettings } from "./network.ts";

/** Images of the trial, more than one, so that a network that mixes them up is noticed. */
const N = 2;

/**
 * Tries out a custom network without computing anything, before files are written: creates it, and traces its velocity
 * and gradients.
 *
 * @returns whether its velocity depends on labels
 * @throws {ConfigError} with the file and the reason if it cannot be trained
 */
export function tryNetwork(
  network: ChosenNetwork,
  config: NetworkSettings,
  size: ImageSize,
  classes: number,
): boolean {
  const refuse = (why: string) => new ConfigError(`Cannot use ${network.file}: ${why}`);
  let usesLabels = false;
  let doing = "making the network: ";
  try {
    planMemory(() => {
      const model = createModel(modelOptions(config, size, classes), blankInitialiser);
      const parameters = namedParameters(model);
      if (parameters.size === 0) {
        throw refuse("its network has no parameters (expected layers or tensors as fields)");
      }
      const [x, t] = [zeros([N, ...size]), zeros([N])];
      const labels = classes > 0 ? tensor(new Uint32Array(N)) : undefined;
      doing = "its velocity: ";
      const velocity = model.velocity(x, t, labels);
      const sources = sourcesOf(velocity);
      usesLabels = labels !== undefined && sources.has(labels);
      const idle = parameters.entries().find(([, parameter]) =>
        parameter.size > 0 && !sources.has(parameter)
      );
      if (idle) {
        throw refuse(
          `its velocity does not depend on "${idle[0]}", ${
            idle[1]
          } (expected every parameter in use; keep what is not ` +
            "trained in a #private field)",
        );
      }
      if (!sources.has(t)) throw refuse("its velocity does not depend on t (expected v(x, t))");
      if (config.teacher !== null) {
        const d = zeros([N]);
        doing = "its mean velocity: ";
        if (!sourcesOf(model.meanVelocity!(x, t, d, labels)).has(d)) {
          throw refuse("its mean velocity does not depend on d (expected u(x, t, d))");
        }
        doing = "its features: ";
        const features: unknown = model.encode?.(x, t) ?? [];
        if (
          !(Array.isArray(features) &&
            features.every((space) => space instanceof Tensor && space.shape[0] === N))
        ) {
          throw refuse(
            `encode() of x ${x} returned ${describeValue(features)} (expected a list of tensors [${N}, ...])`,
          );
        }
      }
      doing = "the gradient of its velocity: ";
      gradients(sum(multiply(velocity, velocity)), [...parameters.values()]);
    });
  } catch (error) {
    throw moduleError(network.file, doing, error);
  }
  return usesLabels;
}
