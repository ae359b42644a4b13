import { playgroundPage } from "../experiments/serve.ts";

/** Writes the playground as one file that works without a server. */
export async function writePlayground(file = "playground.html"): Promise<void> {
  const text = await playgroundPage();
  await Deno.writeTextFile(file, text);
  console.log(`${file}: ${(text.length / 1e6).toFixed(2)} MB; open it in a browser`);
}
