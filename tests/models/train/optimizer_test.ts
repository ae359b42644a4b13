import assert from "node:assert/strict";
import {
  gradients,
  multiply,
  record,
  reshape,
  square,
  sum,
  type Tensor,
  tensor,
  withDevice,
} from "../../../kernels/mod.ts";
import {
  Ema,
  flatten,
  optimizer,
  type OptimizerKind,
  optimizerKinds,
  type OptimizerOptions,
} from "../../../models/mod.ts";
import { readState, writeState } from "../../../models/nn/state.ts";
import { testNeeding } from "../../permissions.ts";
import { assertClose, testOnCpu, testOnDevices } from "../../testing.ts";
import { testWithVectors, type Vectors } from "../vectors.ts";
import { assertSameNumbers } from "../../same_numbers.ts";

/** PyTorch's settings with our names. */
function settingsOf(vectors: Vectors, name: string): OptimizerOptions {
  const settings = JSON.parse(vectors.metadata.settings)[name];
  return {
    learningRate: settings.lr,
    weightDecay: settings.weight_decay ?? 0,
    momentum: settings.momentum ?? 0,
    clip: settings.max_norm ?? 0,
  };
}

/** A convolution weight, which Muon updates by its own rule. */
const weight = () => tensor(Array.from({ length: 576 }, (_, i) => Math.sin(i * i)), [8, 8, 3, 3]);

const kinds: Record<string, OptimizerKind> = {
  adam: "adam",
  adamw: "adamw",
  adamw_clipped: "adamw",
  sgd: "sgd",
  sgd_momentum: "sgd",
};

for (const kind of optimizerKinds) {
  testOnDevices(`optimizer() of ${kind} divides by the loss scale before clipping, bit for bit`, async () => {
    const steps = (lossScale: number) => {
      const [p, w] = [tensor([1, -2, 3]), weight()];
      const options = { learningRate: 0.1, clip: 0.5, lossScale };
      const rule = optimizer(kind, flatten(new Map([["p", p], ["w", w]])), options);
      const gradients = [tensor([0.3, -0.1, 2]), multiply(weight(), 0.3)].map((g) => multiply(g, lossScale));
      for (let step = 0; step < 3; step++) {
        rule.beforeStep();
        rule.update(gradients);
      }
      return Promise.all([p.read(), w.read(), rule.gradientNorm()]);
    };
    assert.deepEqual(await steps(4096), await steps(1));
  });
}

for (const [name, kind] of Object.entries(kinds)) {
  testWithVectors(`optimizer() steps like PyTorch's ${name}`, "optimizers", async (vectors, device) => {
    const norms: number[] = JSON.parse(vectors.metadata.norms);
    for (const flat of [true, false]) {
      const parameters = withDevice(device, () => {
        const apart = new Map(["a", "b"].map((p) => [p, vectors.tensor(`param.${p}`)]));
        return flat ? flatten(apart) : apart;
      });
      const rule = withDevice(device, () => optimizer(kind, parameters, settingsOf(vectors, name)));
      for (const step of [1, 2, 3, 4, 5]) {
        withDevice(device, () => {
          rule.beforeStep();
          rule.update(["a", "b"].map((p) => vectors.tensor(`grad.${step}.${p}`)));
        });
        assertClose([await rule.gradientNorm()], [norms[step - 1]], 1e-6);
        for (const [p, values] of parameters) {
          const expected = vectors.values(`${name}.${step}.${p}`);
          assertClose(await values.read(), expected, 1e-6, `${p} after step ${step}`);
        }
      }
    }
  });
}

/** A quadratic loss with an optimizer and an average, and a function that takes one step. */
function bowl(kind: OptimizerKind) {
  const parameters = new Map([["x", tensor([1, -2, 3])], ["y", tensor([4])], ["w", weight()]]);
  flatten(parameters);
  const rule = optimizer(kind, parameters, { learningRate: 0.1 });
  const ema = new Ema(parameters, { decay: 0.5 });
  const step = () => {
    rule.update([...parameters.values()].flatMap((p) => gradients(sum(square(p)), [p])));
    ema.update();
  };
  const run = (times: number, once: () => void) => {
    for (let i = 0; i < times; i++) {
      rule.beforeStep(0.1 / (rule.step + 1));
      ema.beforeStep();
      once();
    }
  };
  return { parameters, rule, ema, step, run };
}

for (const kind of optimizerKinds) {
  testOnDevices(
    `update() of ${kind} gives the same recorded and restored as called directly`,
    async (device) => {
      const [eager, stopped, resumed] = [bowl(kind), bowl(kind), bowl(kind)];
      const { run } = record(resumed.step);
      eager.run(5, eager.step);
      stopped.run(2, stopped.step);
      const [moments, average] = [await stopped.rule.state(), await stopped.ema.state()];
      const parameters = await readState(stopped.parameters);
      withDevice(device, () => {
        writeState(resumed.parameters, parameters, "parameters");
        resumed.rule.restore(moments, "moments");
        resumed.ema.restore(average, "average");
        resumed.run(3, run);
      });
      assert.equal(resumed.rule.step, 5);
      assert.deepEqual(await readState(resumed.parameters), await readState(eager.parameters));
      assertSameNumbers(await resumed.rule.state(), await eager.rule.state());
      assertSameNumbers(await resumed.ema.state(), await eager.ema.state());
    },
  );
}

testOnCpu(
  "optimizer() refuses the state of another optimizer, shared memory, and no parameters",
  async () => {
    const state = await bowl("adamw").rule.state();
    assert.throws(() => bowl("sgd").rule.restore(state, "a file"), {
      name: "StateError",
      message: 'Cannot load a file: "v.x" is not a moment of sgd (expected m)',
    });
    const a = tensor([1, 2]);
    const refused = (parameters: [string, Tensor][], message: RegExp, kind: OptimizerKind = "sgd") =>
      assert.throws(() => optimizer(kind, new Map(parameters), { learningRate: 1 }), message);
    const shared: [string, Tensor][] = [["x.weight", a], ["y.weight", reshape(a, [2, 1])]];
    refused(shared, /^RangeError: Cannot train "x.weight" and "y.weight": they share memory/);
    refused([], /^RangeError: .*there are no parameters/);
    refused(
      [["a", a]],
      /^TypeError: Cannot make the optimizer muon: no parameter is the weight of a/,
      "muon",
    );
  },
);

testOnDevices("Ema keeps a share of min(d, (1 + k) / (10 + k)) in step k", async (device) => {
  for (const d of [0, 0.2, 0.6]) {
    const x = withDevice(device, () => tensor([0]));
    const ema = withDevice(device, () => new Ema(new Map([["x", x]]), { decay: d }));
    x.write(Float32Array.of(1));
    let e = 0;
    for (let k = 0; k < 20; k++) {
      ema.beforeStep();
      ema.update();
      const share = Math.min(d, (1 + k) / (10 + k));
      e = share * e + 1 - share;
      assertClose(await ema.values.get("x")!.read(), [e], 1e-6);
    }
  }
  const one = () => new Ema(new Map([["x", tensor([0])]]), { decay: 1 });
  assert.throws(one, /^RangeError: Cannot average: decay is 1 \(expected 0 <= decay < 1\)/);
});

testNeeding(
  { read: true },
  "docs/training.md and docs/training_your_own.md give the formula of Ema",
  async () => {
    for (const page of ["training", "training_your_own"]) {
      const text = await Deno.readTextFile(new URL(`../../../docs/${page}.md`, import.meta.url));
      const formulas = [...text.matchAll(/`(min\(.*?\))`/gs)].map(([, formula]) => formula);
      assert.deepEqual(formulas, ["min(d, (1 + k) / (10 + k))"], page);
    }
  },
);

testOnCpu("optimizer() refuses unknown and invalid settings", () => {
  const parameters = new Map([["x", tensor([0])]]);
  const make = (kind: string, options: object) =>
    optimizer(kind as OptimizerKind, parameters, { learningRate: 1, ...options });
  assert.throws(() => make("adamv", {}), /Unknown optimizer "adamv": did you mean "adamw"/);
  assert.throws(() => make("adamw", { weight_decay: 0 }), /"weight_decay".*did you mean "weightDecay"/);
  assert.throws(() => make("sgd", {}).update([]), /Cannot update 1 parameters with 0 gradients/);
  const ranges: [names: string[], values: number[], range: string][] = [
    [["momentum", "clip"], [-1, NaN, Infinity], "of at least 0"],
    [["lossScale"], [0, NaN, Infinity], "above 0"],
    [["beta1", "beta2"], [1, 1.5, 1 - 1e-9, -0.1, NaN], "from 0 to below 1"],
  ];
  for (const [names, values, range] of ranges) {
    for (const [name, value] of names.flatMap((name) => values.map((value) => [name, value] as const))) {
      const message = `Cannot make an optimizer: ${name} is ${value} (expected a number ${range})`;
      assert.throws(() => make("adam", { [name]: value }), { name: "TypeError", message });
    }
  }
  for (const rate of [NaN, Infinity, -1]) {
    assert.throws(() => make("adam", {}).beforeStep(rate), {
      name: "RangeError",
      message: `Cannot begin a step: the learning rate is ${rate} (expected a number of at least 0)`,
    });
  }
});

testOnDevices("optimizer() and Ema refuse to update before beforeStep(), recorded or not", async () => {
  const x = tensor([1]);
  const parameters = new Map([["x", x]]);
  const update = (made: { update(gradients: Tensor[]): void }) => () => made.update([multiply(x, 2)]);
  const both = [optimizer("adam", parameters, { learningRate: 0.1 }), new Ema(parameters, { decay: 0.5 })];
  for (const made of both) {
    const step = record(update(made));
    const refused = (run: () => void) =>
      assert.throws(run, /no step has begun \(expected beforeStep\(\) before/);
    refused(update(made));
    refused(() => step.run());
    made.beforeStep();
    step.run();
    update(made)();
    made.restore(await made.state(), "the state");
    refused(() => step.run());
  }
  assert.ok(Number.isFinite((await x.read())[0]));
});
