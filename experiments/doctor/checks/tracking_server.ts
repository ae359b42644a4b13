import { ConfigError } from "../../settings/setting.ts";
import type { Check } from "../check.ts";
import { error, explanation, ok, warning } from "../finding.ts";

/** Whether a tracking server is named, and whether it answers. */
export const trackingServer: Check = async (machine) => {
  try {
    const tracker = await machine.tracker();
    if (tracker === undefined) {
      return [ok("no server is named; runs are recorded in their folders", { url: null })];
    }
    const { url, experiment, exists } = tracker;
    return [
      ok(`${url} answers; its experiment ${experiment} ${exists ? "is there" : "will be made"}`, {
        ...{ url, experiment, exists },
      }),
    ];
  } catch (cause) {
    // Credentials are in neither message: what of an address is shown is decided in run/server_url.ts.
    if (cause instanceof ConfigError) { // training would not start
      const { says, advice } = explanation(cause, "give the http:// address of an MLflow server");
      return [error(says, advice)];
    }
    const later = "start it, or go on: runs are kept in their folders, and deno task sync sends them later";
    const { says, advice } = explanation(cause, later);
    return [warning(says, advice)];
  }
};
