/// <reference lib="dom" />

/** Lets the page react to its reader, and draw. */
export function breathe(): Promise<void> {
  return new Promise((resolve) => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => resolve();
    port2.postMessage(undefined);
  });
}

/** What ends work that nobody wants any more. */
const unwanted = new Error("Cannot go on: nobody wants it any more");

/** A {@linkcode breathe} within work of the library; ends it once it is not wanted. */
export async function breatheWhile(wanted: () => boolean): Promise<void> {
  if (!wanted()) throw unwanted;
  await breathe();
}

/** What work gives; undefined if {@linkcode breatheWhile} ended it. */
export async function unlessUnwanted<T>(work: Promise<T>): Promise<T | undefined> {
  try {
    return await work;
  } catch (error) {
    if (error !== unwanted) throw error;
  }
}
