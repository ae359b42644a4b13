import { tinyRun } from "../cli.ts";

/** The tiny run of a U-Net, with a network of one's own. */
export const ownRun = tinyRun.replace("--filters 8,16 --t-emb 8 ", "").replace("--no-conditional", "");
