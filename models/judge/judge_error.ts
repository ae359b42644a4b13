import { UserError } from "../../kernels/core/user_error.ts";
/** Images that cannot be judged, or a file or data set that gives no judge. */
export class JudgeError extends UserError {
  /** Told from other errors by this name. */
  override name = "JudgeError";
}
