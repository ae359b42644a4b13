/** Pixels of the largest picture: several bytes for each fit the memory that draws it, 4 GiB. */
export const mostPixels: number = 2 ** 26;

/** Throws a {@linkcode RangeError} if a picture would be too large to draw; `advice` says what to choose instead. */
export function checkPixels(task: string, width: number, height: number, advice: string): void {
  if (width * height <= mostPixels) return;
  throw new RangeError(
    `Cannot ${task} of ${width} x ${height} pixels (expected at most ${mostPixels} in all): choose ${advice}`,
  );
}
