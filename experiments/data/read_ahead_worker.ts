// A worker that reads stretches of a file, so that the operating system has them in its cache.

import type { Stretches } from "./images.ts";

addEventListener("message", (event) => {
  const { path, starts, length } = (event as MessageEvent<Stretches>).data;
  using file = Deno.openSync(path);
  const bytes = new Uint8Array(length);
  for (const start of starts.toSorted((a, b) => a - b)) {
    file.seekSync(start, Deno.SeekMode.Start);
    file.readSync(bytes);
  }
});
