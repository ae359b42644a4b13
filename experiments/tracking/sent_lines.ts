import type { Sent } from "./send.ts";

/** What was sent of a run, a line for a user, and one for all that the server rejected. */
export function sentLines({ run, state, points, files, refused, page }: Sent): string[] {
  if (state === "busy") {
    return [`${run}: nothing sent, as another program works on it; sync again when it has ended`];
  }
  const news = points + files === 0 ? "already complete" : `${points} points and ${files} files sent`;
  return [
    `${run}: ${news}, ${page}`,
    ...Object.entries(refused).map(([what, why]) => `  rejected: ${what}: ${why}`),
  ];
}
