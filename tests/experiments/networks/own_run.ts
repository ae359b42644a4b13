import { tinyRun } from "../cli.ts";

/** The tiny run of a U-Net, with a custom network. */
export const ownRun = tinyRun.replace("--filters 8,16 --t-emb 8 ", "").replace("--no-conditional", "");
