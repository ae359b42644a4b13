/** What several tests of a file start from, a trained run say: made once, then copied. */

import { cp } from "node:fs/promises";
import { Workplace } from "./cli.ts";
import { writeTinyIdx } from "./data/tiny_idx.ts";

const made = new Map<string, Promise<Workplace>>();

Deno.test.afterAll(async () => {
  for (const place of await Promise.allSettled(made.values())) {
    if (place.status === "fulfilled") await place.value[Symbol.asyncDispose]();
  }
});

/**
 * Gives a folder what `make` leaves in another that has the same made-up data set.
 *
 * @param key the same for calls that make the same; of these only the first one makes it
 */
export async function madeOnce(
  place: Workplace,
  key: string,
  make: (place: Workplace) => Promise<unknown>,
): Promise<void> {
  if (!made.has(key)) made.set(key, makeElsewhere(make));
  const { path } = await made.get(key)!;
  await Deno.remove(place.file("data"), { recursive: true });
  await cp(path, place.path, { recursive: true });
}

async function makeElsewhere(make: (place: Workplace) => Promise<unknown>): Promise<Workplace> {
  const place = new Workplace(await Deno.makeTempDir({ prefix: "flow-" }));
  try {
    await writeTinyIdx(place.file("data"));
    await make(place);
    return place;
  } catch (error) {
    await place[Symbol.asyncDispose]();
    throw error;
  }
}
