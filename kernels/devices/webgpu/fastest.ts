/** Times candidates: gives the milliseconds that each pass of so many runs took. */
export type TimeCandidates = (
  passes: readonly { readonly candidate: string; readonly repeats: number }[],
) => Promise<readonly number[]>;

/** What was measured: milliseconds of a run of each candidate, and the one to take. */
export interface Fastest {
  readonly chosen: string;
  readonly milliseconds: Readonly<Record<string, number>>;
}

/**
 * Candidates that are this many times slower than the fastest are not timed again: after one run, and after several.
 */
const hopeless = { once: 3, often: 1.5 } as const;
/** Milliseconds in which all candidates are run more than once to find the hopeless ones, and how often at most. */
const sifting = { milliseconds: 30, rounds: 3 } as const;
/** How often the others are timed, and in about how many milliseconds; three times at least. */
const timing = { milliseconds: 500, rounds: 7 } as const;
/** Most runs in a row. */
const mostRepeats = 256;
/**
 * How much faster than the best time of the first candidate half the times of another must be for it to be taken
 * instead.
 */
const gain = 0.02;

/** How often something that takes so long is done. */
const roundsIn = (allowed: { milliseconds: number; rounds: number }, taken: number, least: number) =>
  Math.min(allowed.rounds, Math.max(least, Math.floor(allowed.milliseconds / taken)));

/**
 * Finds the fastest of some candidates, which alternate, so that other work on the device disturbs all alike. Of
 * several times of one the shortest counts, since other work only adds. Where it adds so much that little is certain,
 * the first candidate stays.
 *
 * @param candidates the first is taken if no other is faster by 2 % and more than the times of one differ
 * @param leastMs milliseconds that a measurement should take
 */
export async function fastest(
  candidates: readonly string[],
  time: TimeCandidates,
  leastMs: number,
): Promise<Fastest> {
  const milliseconds: Record<string, number> = {};
  const typical: Record<string, number> = {};
  const timeRounds = async (some: readonly string[], rounds: number, repeatsOf: (name: string) => number) => {
    const round = some.map((candidate) => ({ candidate, repeats: repeatsOf(candidate) }));
    const times = await time(Array.from({ length: rounds }, () => round).flat());
    for (const [i, { candidate, repeats }] of round.entries()) {
      const ofCandidate = Array.from({ length: rounds }, (_, k) => times[k * round.length + i] / repeats);
      ofCandidate.sort((a, b) => a - b);
      milliseconds[candidate] = ofCandidate[0];
      typical[candidate] = ofCandidate[rounds >> 1];
    }
    return times.reduce((sum, ms) => sum + ms, 0);
  };
  const warmUpMs = await timeRounds(candidates, 1, () => 1); // may compile, and clear memory
  const siftingRounds = roundsIn(sifting, warmUpMs, 1);
  await timeRounds(candidates, siftingRounds, () => 1);
  const least = Math.min(...Object.values(milliseconds));
  const most = (siftingRounds > 1 ? hopeless.often : hopeless.once) * least;
  const left = candidates.filter((candidate, i) => i === 0 || !(milliseconds[candidate] > most));
  if (left.length > 1) {
    const repeats = (candidate: string) =>
      Math.min(Math.max(Math.ceil(leastMs / milliseconds[candidate]), 1), mostRepeats);
    const roundMs = left.reduce((sum, name) => sum + repeats(name) * milliseconds[name], 0);
    await timeRounds(left, roundsIn(timing, roundMs, 3), repeats);
  }
  const best = left.reduce((best, candidate) =>
    milliseconds[candidate] < milliseconds[best] ? candidate : best
  );
  const isBetter = typical[best] < (1 - gain) * milliseconds[candidates[0]];
  return { chosen: isBetter ? best : candidates[0], milliseconds };
}

/** Takes the first candidate and times it roughly: one run after another. */
export async function first([candidate]: readonly string[], time: TimeCandidates): Promise<Fastest> {
  const [, ms] = await time([0, 1].map(() => ({ candidate, repeats: 1 })));
  return { chosen: candidate, milliseconds: { [candidate]: ms } };
}
