import type { Dataset } from "../data/dataset.ts";
import { RunError } from "../run/atomic_write.ts";
import type { ImageSize } from "../../viz/mod.ts";

/**
 * Checks that a network and a data set belong together: images of one size, and classes as many where the network has some.
 *
 * @param task what cannot be done otherwise, such as `evaluate`
 * @param path of the network's file
 * @throws {RunError} if they do not
 */
export function checkFit(
  task: string,
  path: string,
  { shape, classes }: { readonly shape: ImageSize; readonly classes: number },
  data: Pick<Dataset, "name" | "channels" | "height" | "width" | "classes">,
): void {
  const size = [data.channels, data.height, data.width];
  if (`${shape}` !== `${size}`) {
    throw new RunError(
      `Cannot ${task} ${path}: it draws images of [${shape.join(", ")}], and ${data.name} holds [${
        size.join(", ")
      }] (expected one size; see --data)`,
    );
  }
  if (classes > 0 && classes !== data.classes) {
    throw new RunError(
      `Cannot ${task} ${path}: its network has ${classes} classes, and ${data.name} has ${data.classes} ` +
        "(expected as many; see --data)",
    );
  }
}
