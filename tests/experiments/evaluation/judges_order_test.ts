import assert from "node:assert/strict";
import { formatOrder, type Ordered } from "../../../experiments/evaluation/judges_order.ts";

/** Something with a Fréchet distance by each judge, and intervals of 1 to either side. */
function measured(label: string, first: number, second?: number): Ordered {
  const around = (value: number) => ({ value, low: value - 1, high: value + 1 });
  const figures = { frechet: around(first), ...second !== undefined && { "vgg/frechet": around(second) } };
  return { label, figures: { ...figures, velocity_error: around(0) } };
}

Deno.test("formatOrder() says whether two judges rank things alike, and names a pair if not", () => {
  const differs = (pair: string, remark = "") =>
    `lenet and vgg rank ${pair} differently by Fréchet distance${remark}`;
  const [alike, chance] = ["lenet and vgg rank alike by every figure", " (it may be chance)"];
  const cases: readonly (readonly [things: readonly Ordered[], words: string | undefined])[] = [
    [[measured("a", 5, 50), measured("b", 9, 90)], alike],
    [[measured("a", 5, 50), measured("b", 9, 50)], alike],
    [[measured("a", 5, 90), measured("b", 9, 50)], differs("a and b")],
    [[measured("a", 5, 90), measured("b", 6, 50)], differs("a and b", chance)],
    [[measured("a", 5, 51), measured("b", 9, 50)], differs("a and b", chance)],
    [
      [measured("a", 5, 90), measured("b", 6, 50), measured("c", 9, 40)],
      differs("a and c", " (3 of 3 pairs)"),
    ],
    [[measured("a", 5, 50), measured("b", 9)], undefined],
    [[measured("a", 5, 50)], undefined],
    [[], undefined],
  ];
  for (const [things, words] of cases) assert.equal(formatOrder(things), words);
});

Deno.test("formatOrder() names every figure that differs, and needs no intervals", () => {
  const thing = (label: string, ...[frechet, second, recall, other]: number[]): Ordered => ({
    label,
    figures: {
      frechet: { value: frechet },
      "vgg/frechet": { value: second },
      recall: { value: recall },
      "vgg/recall": { value: other },
    },
  });
  assert.equal(
    formatOrder([thing("a", 1, 2, 0.5, 0.9), thing("b", 2, 1, 0.6, 0.8)]),
    "lenet and vgg rank a and b differently by Fréchet distance, a and b differently by Recall",
  );
});
