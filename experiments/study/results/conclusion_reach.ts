import type { Findings } from "./findings.ts";
import type { ReachSummary } from "./reach_summary.ts";
import type { LevelReach } from "./time_reach.ts";
import { listed, percent, rounding } from "./words.ts";

/** The levels that time does not reach, in each setup where that was measured. */
export function unreached({ reach }: Findings): string[] {
  return reach.flatMap(({ label, levels }) => {
    const cancelled = levels.filter(({ image }) => image < rounding);
    if (cancelled.length === 0) return [];
    const names = listed(cancelled.map(({ level }) => level));
    const single = cancelled.every(({ perGroup }) => perGroup === 1);
    return [
      `Time does not reach ${names} of ${label}: with the embedding of another time there, the image changes by less than ` +
      `0.01 %${
        single ? ", as a normalisation with one channel a group cancels a shift of the channel" : ""
      }.`,
    ];
  });
}

/** How much time does at the first level, where it reaches it. */
export function firstLevel({ reach }: Findings): string[] {
  return reach.flatMap(({ label, levels: [level] }) =>
    level && level.image >= rounding
      ? [
        `The embedding of another time at ${level.level} of ${label} changes the image there by ${
          percent(level.image)
        } (${how(level)}).`,
      ]
      : []
  );
}

/** What attention does in trained networks. */
export function attention({ reach }: Findings): string[] {
  return reach.flatMap(({ label, attention }: ReachSummary) =>
    attention
      ? [
        `Attention in ${label} adds ${
          percent(attention.image)
        } to its image (root mean square); left out of the ` +
        `trained network, it changes the output by ${percent(attention.output)}.`,
      ]
      : []
  );
}

function how({ perGroup, passes }: LevelReach): string {
  if (perGroup === undefined) return "no normalisation";
  return `${perGroup} channels a group let ${percent(passes)} of the shift through`;
}
