import type { Findings } from "./findings.ts";
import type { LevelReach } from "./time_reach.ts";
import { percent } from "./words.ts";

/** Changes below are those of rounding. */
const rounding = 1e-4;

/** Whether time reaches the first level, in each setup where that was measured. */
export function firstLevel({ reach }: Findings): string[] {
  const first = reach.flatMap(({ label, levels: [level] }) => level ? [{ label, level }] : []);
  if (first.length === 0) return [];
  const cancelled = first.filter(({ level }) => level.image < rounding);
  const reached = first.filter(({ level }) => level.image >= rounding);
  return [
    ...cancelled.map(({ label, level }) =>
      `Time does not reach the first level of ${label}: with the embedding of another time its image changes by ` +
      `${percent(level.image)}, no more than rounding${why(level)}.`
    ),
    ...reached.length === 0 ? [] : [
      `Time reaches the first level: with the embedding of another time there, its image changes by ${
        reached.map(({ label, level }) => `${percent(level.image)} in ${label}${how(level)}`).join("; ")
      }.`,
    ],
  ];
}

/** What attention does in trained networks. */
export function attention({ reach }: Findings): string[] {
  return reach.flatMap(({ label, attention }) =>
    attention
      ? [
        `Attention in ${label} adds ${
          percent(attention.image)
        } to its image (root mean square); left out of the trained ` +
        `network, it changes the output by ${percent(attention.output)}.`,
      ]
      : []
  );
}

function why({ perGroup }: LevelReach): string {
  return perGroup === 1 ? ", as a normalisation with one channel a group cancels a shift of the channel" : "";
}

function how({ perGroup, passes }: LevelReach): string {
  if (perGroup === undefined) return " (no normalisation)";
  return ` (${perGroup} channels a group, which let ${percent(passes)} of the shift through)`;
}
