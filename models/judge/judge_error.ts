/** Images that cannot be judged, or a file or data set that gives no judge. */
export class JudgeError extends Error {
  /** Told from other errors by this name. */
  override name = "JudgeError";
}
