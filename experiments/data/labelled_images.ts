/** Images u8[N, C, H, W] in row-major order, N = count, and u8[N] labels where there are classes. */
export interface LabelledImages {
  images: Uint8Array;
  labels?: Uint8Array;
  count: number;
}

/** A data set; all its images are height x width pixels, in each channel from 0, dark, to 255, bright. */
export interface Dataset {
  /** `mnist`, `fashion-mnist`, or the name of the folder. */
  name: string;
  train: LabelledImages;
  test: LabelledImages;
  /** That of an IDX file; version 0.5 kept the order of the file, unless images stood class by class there. */
  testOrder?: "random";
  /** The number of each test image in its file, where they stand in another order than there. */
  testNumbers?: Uint32Array;
  /** 1 for grey images, 3 for red, green and blue. */
  channels: number;
  height: number;
  width: number;
  /** Number of classes: labels are 0 to classes - 1. 0 without labels. */
  classes: number;
  /** What the classes are called, by label; none where nobody named them. */
  classNames?: readonly string[];
  /** SHA-256 in hex: of the training images' IDX file, unpacked, or of the names and bytes of all PNG files. */
  digest: string;
  /** SHA-256 in hex of the training labels' IDX file, unpacked; the names of PNG files tell their classes. */
  labelDigest?: string;
  /** The folder or package that the files come from. */
  source: string;
}
