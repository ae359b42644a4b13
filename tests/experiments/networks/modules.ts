/** Modules of networks, written into a folder of a test. */

import { fileURLToPath } from "node:url";
import { bareRun, tinyRun, type Workplace } from "../cli.ts";

/** The library, as modules elsewhere import it. */
export const library = fileURLToPath(new URL("../../../mod.ts", import.meta.url));

/** Flags without those that a custom network does not have. */
const own = (run: string) => run.replace("--filters 8,16 --t-emb 8 ", "").replace("--no-conditional", "");

/** The tiny run of a U-Net, with a custom network. */
export const ownRun = own(tinyRun);

/** The same run without pictures. */
export const bareOwnRun = own(bareRun);

/** A network of two layers on pixels, time and label; each part can be replaced. */
export function mlp({ body = "", velocity, options = "{ hidden: 16, activation: ['gelu', 'none'] }" }: {
  readonly body?: string;
  readonly velocity?: string;
  readonly options?: string;
} = {}): string {
  return `
import { add, concat, full, gelu, LabelEmbedding, Linear, Module, reshape, type Shape, type Tensor } from "${library}";
import { flat } from "./flat.ts";

export const options = ${options};

export default class Mlp extends Module {
  inner: Linear;
  outer: Linear;
  labels: LabelEmbedding | undefined;
  #activation: string;
  #constant: Tensor;

  constructor(
    { hidden = 16, activation = "gelu", shape, classes }:
      { hidden?: number; activation?: string; shape: Shape; classes: number },
  ) {
    super();
    const size = shape[0] * shape[1] * shape[2];
    this.inner = new Linear(size + 1, hidden);
    this.outer = new Linear(hidden, size);
    this.labels = classes > 0 ? new LabelEmbedding({ classes, tEmb: hidden }) : undefined;
    this.#activation = activation;
    this.#constant = full([hidden], 0.5);
    ${body}
  }

  ${
    velocity ?? `velocity(x: Tensor, t: Tensor, condition?: Tensor): Tensor {
    const h = add(this.inner.forward(concat([flat(x), reshape(t, [t.size, 1])], 1)), this.#constant);
    const labelled = this.labels ? this.labels.forward(h, condition) : h;
    return reshape(this.outer.forward(this.#activation === "gelu" ? gelu(labelled) : labelled), x.shape);
  }`
  }
}
`;
}

/** What it imports. */
const flat = `
import { reshape, type Tensor } from "${library}";

export const flat = (x: Tensor): Tensor => reshape(x, [x.shape[0], x.size / x.shape[0]]);
`;

/** Writes a module, by default the network above, and the file that it imports. */
export async function writeModule(place: Workplace, name = "mlp.ts", text = mlp()): Promise<void> {
  await place.write(name, text);
  await place.write("flat.ts", flat);
}
