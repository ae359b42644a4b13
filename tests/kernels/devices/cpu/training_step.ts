import { gradients, randomNormal, randomUniform, tensor } from "../../../../kernels/mod.ts";
import { Ema, flowMatchingLoss, type Model, namedParameters, optimizer } from "../../../../models/mod.ts";
import { rangeOf } from "../../../../models/nn/flat_parameters.ts";

/** A key of random numbers for a stream. */
export const key = (stream: number) => tensor(Uint32Array.of(46020, stream, 0));

/** A complete training step: noise, times, loss, gradients, clipping, update and weight averaging. */
export function trainingStep(
  model: Model,
  [N, C, H, W]: readonly number[],
  name: Parameters<typeof optimizer>[0] = "adamw",
) {
  const parameters = namedParameters(model);
  const rule = optimizer(name, parameters, { learningRate: 1e-3, clip: 1 });
  const ema = new Ema(parameters, { decay: 0.9 });
  const x1 = randomNormal(key(0), [N, C, H, W]);
  const keys = [key(1), key(2)];
  const work = () => {
    const loss = flowMatchingLoss(model, randomNormal(keys[0], x1.shape), x1, randomUniform(keys[1], [N]));
    rule.update(gradients(loss, [...parameters.values()]));
    ema.update();
    return loss;
  };
  const before = () => {
    rule.beforeStep(1e-3);
    ema.beforeStep();
  };
  const weights = () => rangeOf(parameters, [...parameters.keys()]).read();
  return { work, before, weights };
}
