import type { Check } from "../check.ts";
import { ok, warning } from "../finding.ts";

/** The version of Deno, and whether the machine shows itself. */
export const denoVersion: Check = ({ versions, host }) => {
  const { deno, os, architecture } = versions;
  const says = `Deno ${deno}, ${os} ${architecture}`;
  if (host.problem === undefined) return [ok(says, versions)];
  return [
    ok(says, versions),
    warning(
      `what the machine has cannot be read: ${host.problem}`,
      "start it as deno task doctor, in a checkout on a disk whose programs may run",
    ),
  ];
};
