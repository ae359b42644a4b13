import { RunError } from "../run/atomic_write.ts";
import { ServerError } from "./http.ts";

/** Sends runs to a server, or says why it cannot: that ends no work, since the rest can be sent later. */
export async function sayingWhy(say: (line: string) => void, send: () => Promise<void>): Promise<void> {
  try {
    await send();
  } catch (error) {
    if (!(error instanceof ServerError || error instanceof RunError)) throw error;
    say(`MLflow: ${error.message}; deno task sync sends the rest`);
  }
}
