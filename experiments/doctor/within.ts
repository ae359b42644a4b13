import { DataError } from "../data/dataset.ts";

/**
 * Waits for something, but not for ever.
 *
 * @param what it is, to start a sentence with
 * @throws {DataError} if it does not come in time
 */
export async function within<T>(seconds: number, what: string, coming: Promise<T>): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      reject(
        new DataError(`Waited ${seconds} s for ${what}; connect to the network, or give --data DIR`),
      );
    }, 1000 * seconds);
  });
  try {
    return await Promise.race([coming, late]);
  } finally {
    clearTimeout(timer);
  }
}
