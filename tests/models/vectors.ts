/** Parity vectors from PyTorch for tests on every device; see tests/vectors/README.md. */

import { type Device, type Tensor, tensor } from "../../kernels/mod.ts";
import {
  createModel,
  decodeSafetensors,
  type HostTensor,
  loadState,
  type Model,
  type UNetModelOptions,
} from "../../models/mod.ts";
import { granted, testUnless } from "../permissions.ts";
import { testOnDevices } from "../testing.ts";

export const folder = new URL("../vectors/", import.meta.url);

/** One file of vectors. */
export class Vectors {
  readonly tensors: Map<string, HostTensor>;
  readonly metadata: Record<string, string>;

  constructor(name: string) {
    const bytes = Deno.readFileSync(new URL(`${name}.safetensors`, folder));
    ({ tensors: this.tensors, metadata: this.metadata } = decodeSafetensors(bytes, name));
  }

  /** Settings of the network. */
  get config(): UNetModelOptions {
    const { t_emb: tEmb, ...rest } = JSON.parse(this.metadata.config);
    return { ...rest, tEmb };
  }

  /** Parameters whose exact gradient is 0. */
  get zeroGradient(): Set<string> {
    return new Set(JSON.parse(this.metadata.zero_gradient));
  }

  /** Parameters in PyTorch's order. */
  get parameterNames(): string[] {
    return [...this.part("param.").keys()];
  }

  /** The tensors whose names start with a prefix, with the prefix removed. */
  part(prefix: string): Map<string, HostTensor> {
    const entries = [...this.tensors].filter(([name]) => name.startsWith(prefix));
    return new Map(entries.map(([name, value]) => [name.slice(prefix.length), value]));
  }

  values(name: string): Float32Array {
    return this.tensors.get(name)!.data;
  }

  tensor = (name: string): Tensor => tensor(this.values(name), this.tensors.get(name)!.shape);

  /** Labels u32[N], for a network with classes. */
  get labels(): Tensor | undefined {
    return this.tensors.has("labels") ? tensor(Uint32Array.from(this.values("labels"))) : undefined;
  }

  /** The network with the parameters before training. */
  model(): Model {
    const model = createModel(this.config, 0);
    loadState(model, this.part("param."), "vectors");
    return model;
  }
}

/** Defines a test on every device that reads a file of vectors; ignored without --allow-read. */
export function testWithVectors(
  name: string,
  file: string,
  test: (vectors: Vectors, device: Device) => void | Promise<void>,
  define = testOnDevices,
): void {
  if (granted("read")) define(name, (device) => test(new Vectors(file), device));
  else testUnless("needs --allow-read", name, () => {});
}
