import type { Device } from "../../kernels/mod.ts";

/**
 * Measures of the machine, under names that MLflow groups as system metrics. A megabyte is 1e6 bytes; the rate is the mean
 * since the last call, and missing while nothing is trained.
 *
 * @param device the device whose memory is measured
 * @param images number of images trained on so far
 */
export function gauges(device: Device, images: () => number): () => Record<string, number> {
  let [ms, seen] = [performance.now(), images()];
  return () => {
    const [nowMs, now] = [performance.now(), images()];
    const rate = nowMs > ms ? 1000 * (now - seen) / (nowMs - ms) : 0;
    [ms, seen] = [nowMs, now];
    return {
      ...rate > 0 && { "system/images_per_second": rate },
      "system/process_memory_megabytes": Deno.memoryUsage().rss / 1e6,
      "system/device_memory_megabytes": device.allocatedBytes / 1e6,
    };
  };
}
