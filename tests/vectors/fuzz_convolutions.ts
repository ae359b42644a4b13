/**
 * `python tests/vectors/convolutions.py --count 500 --seed 1 /tmp/fuzz`, then
 * `deno run --allow-read tests/vectors/fuzz_convolutions.ts /tmp/fuzz [cpu|webgpu]`: compares random convolutions, their
 * gradients and second derivatives with PyTorch's, and prints those that differ, and how many agree.
 */
import { init } from "../../kernels/mod.ts";
import { assertConvolves, convolutionCases } from "../convolution_vectors.ts";
import { Vectors } from "../models/vectors.ts";

const [path, device = "cpu"] = Deno.args;
await init({ device: device as "cpu" | "webgpu" });
const vectors = new Vectors(path), cases = convolutionCases(vectors);
let agreed = 0;
for (const [i, given] of cases.entries()) {
  await assertConvolves(vectors, i, given).then(() => agreed++, (error) => console.log(error.message));
}
console.log(`${agreed} of ${cases.length} agree`);
if (agreed < cases.length) Deno.exit(1);
