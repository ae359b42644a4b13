import assert from "node:assert/strict";
import { tensor, zeros } from "../../../kernels/mod.ts";
import {
  countParameters,
  createModel,
  loadState,
  modelTypes,
  namedParameters,
  stateOf,
  type UNetModelOptions,
} from "../../../models/mod.ts";
import { testOnCpu, testOnDevices } from "../../testing.ts";
import { assertSameNumbers } from "../../same_numbers.ts";

const base = (filters: number[], tEmb: number): UNetModelOptions => ({ type: "UNet_FM", filters, tEmb });
const residual = (filters: number[], tEmb: number): UNetModelOptions => ({
  ...base(filters, tEmb),
  type: "UNet_FM_Residuals",
});
const tiny = { ...residual([2, 4], 3), groups: 2 };

testOnDevices("countParameters() returns the study's numbers without allocating parameters", (device) => {
  const before = device.allocatedBytes;
  const small = [16, 32, 64], middle = [32, 64, 128], large = [256, 512, 1024];
  assert.deepEqual([small, middle].map((filters) => countParameters(base(filters, 64))), [71_505, 251_361]);
  assert.deepEqual([small, middle].map((filters) => countParameters(residual(filters, 64))), [
    270_545,
    1_036_513,
  ]);
  const millions = [base, residual].map((make) => (countParameters(make(large, 512)) / 1e6).toFixed(1));
  assert.deepEqual(millions, ["16.0", "66.1"]);
  assert.equal(device.allocatedBytes, before);
});

testOnDevices("createModel() makes the same network from the same seed, by default 46020", async () => {
  const models = [createModel(tiny), createModel(tiny, 46020), createModel(tiny, 2)];
  const [a, b, c] = await Promise.all(models.map(stateOf));
  assert.deepEqual(a, b);
  assert.notDeepEqual(a, c);
  assert.throws(() => createModel(tiny, "1" as never), {
    name: "RangeError",
    message: 'Cannot draw from the seed "1" (expected an integer in [0, 2^32))',
  });
});

testOnDevices("createModel() draws weights as PyTorch does", async () => {
  const state = await stateOf(createModel({ ...residual([32, 64], 64), attn: true }, 46020));
  const bounds = {
    "time_mlp.2.weight": 1 / Math.sqrt(64),
    "downs.1.conv.weight": 1 / Math.sqrt(32 * 9),
    "downs.1.conv.bias": 1 / Math.sqrt(32 * 9),
    "ups.0.upsample.weight": 1 / Math.sqrt(32 * 4), // fan-in counts outputs
    "ups.0.upsample.bias": 1 / Math.sqrt(32 * 4),
  };
  for (const [name, bound] of Object.entries(bounds)) {
    const { data } = state.get(name)!;
    const largest = Math.max(...data.map(Math.abs));
    assert.ok(largest <= bound && largest > 0.9 * bound, `${name} reaches ${largest} of ${bound}`);
    const mean = data.reduce((sum, x) => sum + x, 0) / data.length;
    assert.ok(Math.abs(mean) < 4 * bound / Math.sqrt(3 * data.length), `${name} has mean ${mean}`);
  }
  const constants = {
    "mid_res.gn1.weight": 1,
    "mid_res.gn1.bias": 0,
    "mid_attn.final.weight": 0,
    "mid_attn.final.bias": 0,
  };
  for (const [name, value] of Object.entries(constants)) {
    assert.ok(state.get(name)!.data.every((x) => x === value));
  }
});

testOnCpu("createModel() refuses unknown and invalid settings", () => {
  const cases: readonly (readonly [options: object, message: RegExp])[] = [
    [{ type: "UNet_FN" }, /Unknown network "UNet_FN": did you mean "UNet_FM"/],
    [{ filter: [1] }, /Unknown setting "filter" of a network: did you mean "filters"/],
    [{ filters: [] }, /filters is \[\] \(expected a list of whole numbers of at least 1\)/],
    [{ filters: [4, 1.5] }, /filters is \[4,1.5\] \(expected a list of whole numbers of at least 1\)/],
    [{ tEmb: 0 }, /tEmb is 0 \(expected a whole number of at least 1\)/],
    [{ classes: -1 }, /classes is -1 \(expected a whole number of at least 0\)/],
    [{ attn: "yes" }, /attn is "yes" \(expected true or false\)/],
    [{ path: "bent" }, /path is "bent" \(expected linear or cosine\)/],
    [{ groups: 3 }, /^ShapeError: Cannot make a GroupNorm: 3 groups do not divide/],
  ];
  for (const [options, message] of cases) {
    assert.throws(() => createModel({ ...tiny, ...options } as UNetModelOptions, 0), message);
  }
  createModel({ ...base([5, 7], 2), groups: 8 }, 0); // without GroupNorm, groups do not matter
});

testOnCpu("velocity() refuses images of the wrong shape, and the wrong number of times", () => {
  for (const type of modelTypes) {
    for (const classes of [0, 2]) {
      const model = createModel({ ...tiny, type, classes }, 0);
      const condition = classes > 0 ? tensor(Uint32Array.of(0, 1)) : undefined;
      const run = (x: number[], t = tensor([0, 0])) => () => model.velocity(zeros(x), t, condition);
      assert.throws(run([2, 1, 1, 3]), /levels on f32\[2, 1, 1, 3\].*at least 2/);
      assert.throws(run([2, 2, 2, 2]), { name: "ShapeError" });
      for (const t of [tensor([0]), tensor([0, 0, 0]), tensor([0, 0], [2, 1])]) {
        const message = `Cannot run a U-Net: t is ${t} (expected f32[2])`;
        assert.throws(run([2, 1, 2, 2], t), { name: "ShapeError", message });
      }
    }
  }
});

testOnDevices("loadState() restores the state of stateOf(), and refuses others", async () => {
  const [model, other] = [1, 2].map((seed) => createModel(tiny, seed));
  const state = await stateOf(model);
  loadState(other, state, "a");
  assertSameNumbers(await stateOf(other), state);

  const one = { shape: [1], data: new Float32Array(1) };
  // The error comes after a valid parameter, which must not be written.
  const late = (data: unknown) => (copy: typeof state) => {
    copy.set("time_mlp.0.bias", { shape: [3], data: Float32Array.of(7, 8, 9) });
    copy.set("last.bias", { shape: [1], data: data as Float32Array });
  };
  const length = /"last.bias" has \d values in a Float\d\dArray \(expected 1 in a Float32Array\)/;
  const cases: readonly (readonly [change: (copy: typeof state) => void, message: RegExp])[] = [
    [(copy) => copy.delete("last.bias"), /Cannot load weights: "last.bias" is missing$/],
    [(copy) => copy.set("downs.0.conv.wait", one), /unknown name "downs.0.conv.wait".*"downs.0.conv.weight"/],
    [(copy) => copy.set("last.weight", one), /"last.weight" is f32\[1\] \(expected f32\[1, 2, 3, 3\]\)/],
    [late(new Float32Array(2)), length],
    [late(new Float64Array(1)), length],
  ];
  for (const [change, message] of cases) {
    const copy = new Map(state);
    change(copy);
    assert.throws(() => loadState(other, copy, "weights"), { name: "StateError", message });
  }
  assertSameNumbers(await stateOf(other), state);
  assert.deepEqual([...namedParameters(model).keys()], [...state.keys()]);
});
