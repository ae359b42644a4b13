import type { Check } from "../check.ts";
import { error, ok, shownBytes, warning } from "../finding.ts";

/** Less than this and a run of the preset `quick` with its pictures does not fit. */
const leastBytes = 2 ** 28;
/** Less than this and a few runs fill the disk. */
const enoughBytes = 2 ** 32;

/** Whether runs can be written, and the room for them. */
export const diskRoom: Check = ({ host: { problem, folder }, settings: { root } }) => {
  if (problem !== undefined) return []; // as another line says
  const { path, writable, freeBytes } = folder;
  const values = { folder: path, writable, freeBytes: freeBytes ?? null };
  if (!writable) {
    return [
      error(
        `runs cannot be written to ${root}: ${path} may not be written to`,
        "give another folder (train: --out DIR), or make runs a link to one",
        values,
      ),
    ];
  }
  if (freeBytes === undefined) {
    return [ok(`runs go to ${root}; the system does not say how much room it has`, values)];
  }
  const says = `${shownBytes(freeBytes)} are free for runs in ${root}`;
  if (freeBytes >= enoughBytes) return [ok(says, values)];
  const advice = "make room, or make runs a link to a folder on another disk";
  return [(freeBytes < leastBytes ? error : warning)(says, advice, values)];
};
