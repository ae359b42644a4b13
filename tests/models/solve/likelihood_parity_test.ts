/** Divergences and log-likelihoods against PyTorch; see tests/vectors/README.md. */

import { reshape } from "../../../kernels/mod.ts";
import { estimatedDivergence, exactDivergence, Likelihood } from "../../../models/mod.ts";
import { assertClose, testOnAllKernels } from "../../testing.ts";
import { testWithVectors } from "../vectors.ts";

const networks = [
  "base",
  "base_attention_odd",
  "base_one_level",
  "residual",
  "residual_attention",
  "residual_attention_odd_rgb",
];

testWithVectors("divergences of a residual network are PyTorch's", "likelihood", async (vectors) => {
  const model = vectors.model();
  const [x, t, epsilon] = ["x", "t", "epsilon"].map(vectors.tensor);
  const v = model.velocity(x, t);
  assertClose(await exactDivergence(v, x).read(), vectors.values("divergence"), 1e-5);
  assertClose(await estimatedDivergence(v, x, epsilon).read(), vectors.values("estimate"), 1e-5);
}, testOnAllKernels);

testWithVectors(
  "Likelihood of a residual network is PyTorch's, exact and by signs",
  "likelihood",
  async (vectors) => {
    const x = vectors.tensor("x");
    const options = { solver: "rk4", steps: Number(vectors.metadata.steps) } as const;
    const exact = await new Likelihood(vectors.model(), x.shape, { ...options, exact: true }).run(x);
    assertClose(await exact.logp.read(), vectors.values("logp"), 1e-6);
    assertClose(await exact.z.read(), vectors.values("z"), 1e-5);
    const signs = reshape(vectors.tensor("epsilon"), [1, ...x.shape]);
    const estimate = await new Likelihood(vectors.model(), x.shape, options).run(x, signs);
    assertClose(await estimate.logp.read(), vectors.values("logp_estimate"), 1e-6);
  },
);

for (const name of networks) {
  testWithVectors(`the vector-Jacobian product of ${name} is PyTorch's`, name, async (vectors) => {
    const model = vectors.model();
    const [xt, t] = ["xt", "t"].map(vectors.tensor);
    // The gradient of mean |v - u|^2 is the product with w = 2 (v - u) / size: its part along w is w^T (dv/dx) w.
    const [output, u, gradient] = ["output", "u", "grad_xt"].map((of) => vectors.values(of));
    const w = output.map((v, i) => 2 * (v - u[i]) / u.length * 100); // scaled, to tell small errors from none
    const [N, D] = [t.size, u.length / t.size];
    const expected = Array.from(
      { length: N },
      (_, n) => w.subarray(n * D, (n + 1) * D).reduce((sum, w, i) => sum + 100 * w * gradient[n * D + i], 0),
    );
    const along = vectors.tensor("xt");
    along.write(w);
    const found = await estimatedDivergence(model.velocity(xt, t), xt, along).read();
    const largest = Math.max(...expected.map(Math.abs));
    assertClose(found.map((value) => value / largest), expected.map((value) => value / largest), 2e-4);
  });
}
