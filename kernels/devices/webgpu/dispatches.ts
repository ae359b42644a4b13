import type { KernelCall } from "../device.ts";
import type { GpuBuffer } from "./buffer_pool.ts";
import type { Dispatch } from "./command_queue.ts";
import type { PipelineCache } from "./pipelines.ts";

/** Bind groups kept for calls that recur on the same memory. */
const maxBindGroups = 1 << 14;

/** Turns calls into dispatches: pipeline, bind group and grid. */
export class Dispatches {
  readonly #kept = new Map<string, Dispatch>();

  /** @param most bind groups to keep, and so uniforms */
  constructor(readonly device: GPUDevice, readonly pipelines: PipelineCache, readonly most = maxBindGroups) {}

  /** The dispatch of a call, kept for the next one on the same memory. */
  of(call: KernelCall): Dispatch {
    const pipeline = this.pipelines.of(call);
    let key = `${pipeline.id}`;
    for (const { buffer, offset, length } of call.ranges) {
      key += `,${(buffer as GpuBuffer).id}:${offset}:${length}`;
    }
    key += `|${this.pipelines.uniforms(pipeline, call).id}`;
    const known = this.#kept.get(key);
    if (known) return known;
    if (this.#kept.size >= this.most) {
      this.clear();
      return this.of(call); // with uniforms that the next call finds again
    }
    const dispatch = this.make(call);
    this.#kept.set(key, dispatch);
    return dispatch;
  }

  /** The dispatch of a call that will not recur. */
  make(call: KernelCall): Dispatch {
    const pipeline = this.pipelines.of(call);
    const uniforms = this.pipelines.uniforms(pipeline, call);
    const x = Math.min(uniforms.groups, this.device.limits.maxComputeWorkgroupsPerDimension);
    return {
      pipeline,
      bindGroup: this.device.createBindGroup({
        label: call.kernel.name,
        layout: pipeline.layout,
        entries: [
          { binding: 0, resource: uniforms.binding },
          ...call.ranges.map(({ buffer, offset, length }, i) => ({
            binding: i + 1,
            resource: {
              buffer: (buffer as GpuBuffer).handle,
              offset: offset * 4,
              size: Math.max(length * 4, 4),
            },
          })),
        ],
      }),
      x,
      y: Math.ceil(uniforms.groups / Math.max(x, 1)),
    };
  }

  /** Forgets what it kept. Dispatches of recorded steps stay as they are. */
  clear(): void {
    this.#kept.clear();
    this.pipelines.forgetUniforms();
  }
}
