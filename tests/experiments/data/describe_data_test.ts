import assert from "node:assert/strict";
import { describeData } from "../../../experiments/data/describe_data.ts";

const digits = { name: "d", train: 60_000, test: 10, channels: 1, height: 28, width: 28, classes: 10 };

Deno.test("describeData() says sizes, counts and classes", () => {
  assert.equal(describeData(digits), "d: 60,000 images of 28 x 28 to train and 10 to test, 10 classes");
  assert.equal(
    describeData({ ...digits, channels: 3, classes: 2, classNames: ["cat", "owl"] }),
    "d: 60,000 images of 3 x 28 x 28 to train and 10 to test, 2 classes: cat, owl",
  );
  assert.match(describeData({ ...digits, classes: 0 }), /, no classes$/);
  const twoLines = describeData({ ...digits, classes: 2, classNames: ["cat\nDone; see here", "owl"] });
  assert.match(
    twoLines,
    /classes: cat\\u000aDone; see here, owl$/,
    "a folder's name makes no line of its own",
  );
  const many = Array.from({ length: 21 }, (_, c) => `${c}`);
  assert.match(describeData({ ...digits, classes: 21, classNames: many }), /, 21 classes$/);
});
