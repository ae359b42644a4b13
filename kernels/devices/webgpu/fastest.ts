/** Times candidates: gives the milliseconds that each pass of so many runs took. */
export type TimeCandidates = (
  passes: readonly { readonly candidate: string; readonly repeats: number }[],
) => Promise<readonly number[]>;

/** Candidates that are slower than the fastest by more than this in one run are not timed again. */
const hopeless = 1.5;
/** How often the others are timed; the fastest counts, since other work only adds. */
const rounds = 3;
/** Most runs in a row. */
const mostRepeats = 256;
/** How much faster than the first candidate another must be to be taken instead. */
const gain = 0.02;

/**
 * Finds the fastest of some candidates, which alternate, so that other work on the device disturbs all alike.
 *
 * @param candidates the first is taken if no other is faster by 2 %
 * @param leastMs milliseconds that a measurement should take
 * @returns milliseconds of a run of each, and the one to take
 */
export async function fastest(
  candidates: readonly string[],
  time: TimeCandidates,
  leastMs: number,
): Promise<{ chosen: string; milliseconds: Record<string, number> }> {
  const once = candidates.map((candidate) => ({ candidate, repeats: 1 }));
  await time(once); // the first run may compile, and clear memory
  const first = await time(once);
  const milliseconds = Object.fromEntries(candidates.map((candidate, i) => [candidate, first[i]]));
  const least = Math.min(...first);
  const left = candidates.filter((candidate, i) => i === 0 || !(milliseconds[candidate] > hopeless * least));
  if (left.length > 1) {
    const repeats = (candidate: string) =>
      Math.min(Math.max(Math.ceil(leastMs / milliseconds[candidate]), 1), mostRepeats);
    const round = left.map((candidate) => ({ candidate, repeats: repeats(candidate) }));
    const passes = Array.from({ length: rounds }, () => round).flat();
    const times = await time(passes);
    for (const [i, { candidate, repeats }] of round.entries()) {
      milliseconds[candidate] = Math.min(
        ...Array.from({ length: rounds }, (_, k) => times[k * round.length + i] / repeats),
      );
    }
  }
  const best = left.reduce((best, candidate) =>
    milliseconds[candidate] < milliseconds[best] ? candidate : best
  );
  const isBetter = milliseconds[best] < (1 - gain) * milliseconds[candidates[0]];
  return { chosen: isBetter ? best : candidates[0], milliseconds };
}
