import {
  blockUntilReady,
  defaultDevice,
  init,
  jit,
  lax,
  nn,
  numpy as np,
  tree,
  valueAndGrad,
} from "npm:@jax-js/jax@0.1.25";
import { type Contender, learningRate, names, type Problem, shape } from "./three_convs.ts";

/** Name and version for tables. */
export const jaxName = "jax-js";

// jax-js counts references: a function consumes its arguments, and `.ref` adds a use.
type Layer = { weight: np.Array; bias: np.Array };
type Training = {
  layers: Layer[];
  /** Adam's moments. */
  m: Layer[];
  v: Layer[];
  /** Powers of Adam's decays, for bias correction. */
  power1: np.Array;
  power2: np.Array;
};

const [beta1, beta2, epsilon] = [0.9, 0.999, 1e-8];

function forward(layers: Layer[], x: np.Array): np.Array {
  layers.forEach(({ weight, bias }, i) => {
    if (i > 0) x = nn.gelu(x, { approximate: false });
    x = lax.convGeneralDilated(x, weight, [1, 1], "SAME").add(bias.reshape([1, shape[1], 1, 1]));
  });
  return x;
}

function loss(layers: Layer[], x: np.Array, target: np.Array): np.Array {
  return np.mean(np.square(forward(layers, x).sub(target)));
}

function step(
  { layers, m, v, power1, power2 }: Training,
  x: np.Array,
  target: np.Array,
): [np.Array, Training] {
  const [value, dw] = valueAndGrad(loss)(tree.ref(layers), x, target);
  m = tree.map((m: np.Array, g: np.Array) => m.mul(beta1).add(g.mul(1 - beta1)), m, tree.ref(dw)) as Layer[];
  v = tree.map((v: np.Array, g: np.Array) => v.mul(beta2).add(np.square(g).mul(1 - beta2)), v, dw) as Layer[];
  [power1, power2] = [power1.mul(beta1), power2.mul(beta2)];
  const left1 = np.subtract(1, power1.ref), left2 = np.subtract(1, power2.ref);
  const moved = tree.map(
    (p: np.Array, m: np.Array, v: np.Array) =>
      p.sub(m.div(left1.ref).div(np.sqrt(v.div(left2.ref)).add(epsilon)).mul(learningRate)),
    layers,
    tree.ref(m),
    tree.ref(v),
  ) as Layer[];
  left1.dispose();
  left2.dispose();
  return [value, { layers: moved, m, v, power1, power2 }];
}

/**
 * The work in jax-js on WebGPU: jitted, with no read-back in the loop. jax-js dispatches nothing until a result is
 * awaited, and drops results that never are. So every step is awaited, but one step late: the device always has work,
 * and the memory of finished steps is reused. Adam is written out, since `@jax-js/optax` is not on npm.
 *
 * @throws {Error} if jax-js finds no adapter
 */
export async function jaxThreeConvolutions({ x, target, state }: Problem): Promise<Contender> {
  if (!(await init("webgpu")).includes("webgpu")) throw new Error("jax-js finds no WebGPU adapter");
  defaultDevice("webgpu");
  const array = (data: Float32Array<ArrayBuffer>, shape: readonly number[]) =>
    np.array(data).reshape([...shape]);
  const layers = [0, 1, 2].map((i): Layer => {
    const [weight, bias] = ["weight", "bias"].map((name) => state.get(`convs.${i}.${name}`)!)
      .map(({ data, shape }) => array(Float32Array.from(data), shape));
    return { weight, bias };
  });
  const zeros = () => tree.map((p: np.Array) => np.zerosLike(p), tree.ref(layers)) as Layer[];
  const images = array(x, shape), wanted = array(target, shape);
  let training: Training = {
    layers: tree.ref(layers),
    m: zeros(),
    v: zeros(),
    power1: np.array(1),
    power2: np.array(1),
  };
  let latest = np.array(Number.NaN);
  const jitStep = jit(step), jitForward = jit(forward);

  const run = async (count: number, queue: () => np.Array) => {
    let before: Promise<np.Array> | undefined;
    for (let i = 0; i < count; i++) {
      const result = blockUntilReady(queue());
      (await before)?.dispose();
      before = result;
    }
    return await before!;
  };
  return {
    train: {
      name: names.train,
      amount: shape[0],
      unit: "images/s",
      run: async (count) => {
        latest.dispose();
        latest = await run(count, () => {
          const [value, next] = jitStep(training, images.ref, wanted.ref);
          training = next;
          return value;
        });
      },
    },
    forward: {
      name: names.forward,
      amount: shape[0],
      unit: "images/s",
      run: async (count) => (await run(count, () => jitForward(tree.ref(layers), images.ref))).dispose(),
    },
    loss: async () => (await latest.ref.data())[0],
  };
}
