import type { Check } from "../check.ts";
import { error, explanation, ok } from "../finding.ts";

/** Where the data comes from, and whether it is there. */
export const trainingData: Check = async (machine) => {
  try {
    const data = await machine.data();
    const { name, source, train, test, height, width, channels, classes } = data;
    const images = (train.count + test.count).toLocaleString("en");
    return [
      ok(`${name} from ${source}: ${images} images of ${height} x ${width}`, {
        ...{ name, source, trainImages: train.count, testImages: test.count },
        ...{ channels, height, width, classes },
      }),
    ];
  } catch (cause) {
    const { says, advice } = explanation(cause, "give another --data");
    return [error(says, advice)];
  }
};
