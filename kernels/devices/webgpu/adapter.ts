/** Explains why there is no WebGPU device, and what to do. */
export function noAdapter(): string {
  if ("document" in globalThis || "importScripts" in globalThis) { // a page, or a worker of one
    return "No WebGPU adapter: this browser offers none to this page (it needs https, localhost or a file, and a GPU)";
  }
  return "No WebGPU adapter: install a Vulkan driver and loader (Debian: mesa-vulkan-drivers libvulkan1), start with " +
    "./denow, or use the CPU device (--device cpu)";
}

/** Whether the adapter runs on the CPU; browsers and Deno report it in different places. */
export function isSoftware(adapter: GPUAdapter): boolean {
  const flagged = adapter.info.isFallbackAdapter ??
    (adapter as { isFallbackAdapter?: boolean }).isFallbackAdapter;
  return flagged ?? /llvmpipe|lavapipe|swiftshader/i.test(adapter.info.description);
}

/** Identifies an adapter; measurements hold for adapters with the same key. */
export function adapterKey({ vendor, architecture, device, description }: GPUAdapterInfo): string {
  return [vendor, architecture, device, description].filter(Boolean).join(" | ");
}
