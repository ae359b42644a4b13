/**
 * Trains a tiny flow, samples it and a checkpoint, and draws; run by each engine and in a page, so in plain JavaScript.
 *
 * @param {typeof import("../../mod.ts")} library
 * @param {string | URL} checkpoint
 * @returns numbers that are the same to the bit wherever the arithmetic is the same
 */
export async function useLibrary(library, checkpoint) {
  const { concat, fit, Linear, Module, openCheckpoint, randomInitialiser, reshape, sample, tensor } = library;
  class Field extends Module {
    inner = new Linear(3, 32, randomInitialiser(1));
    outer = new Linear(32, 2, randomInitialiser(2));
    velocity(x, t) {
      return this.outer.forward(this.inner.forward(concat([x, reshape(t, [t.size, 1])], 1)));
    }
  }
  const field = new Field();
  const losses = await fit(field, tensor([1, 0, 0, 1, -1, 0, 0, -1], [4, 2]), { steps: 20 });
  const points = await sample(field, { count: 4, seed: 2 }).read();
  const { model, range } = await openCheckpoint(checkpoint);
  const digits = await sample(model, { count: 2, seed: 1, steps: 4 }).read();
  const png = library.encodePng(library.imageGrid(digits, [2, 28, 28], { range }));
  return { losses: [...losses], points: [...points], digits: [...digits], png: [...png] };
}
