import { init } from "../../../kernels/mod.ts";
import { describeError } from "../../program/task.ts";
import { type CellEnd, runCell } from "../run_cell.ts";
import { requireCell, requireStudy } from "../study.ts";

/** Which cell a worker runs, and how. */
export interface CellOrder {
  readonly folder: string;
  readonly id: string;
  readonly device: "auto" | "webgpu" | "cpu";
  readonly threads: number;
  readonly mlflow: string | null;
  readonly experiment: string | null;
}

/** A worker's answer: a line for the user, or how its cell ended, with the reason of a failure in one or more lines. */
export type CellAnswer =
  | { readonly said: string }
  | { readonly ended: CellEnd }
  | { readonly ended: "failed"; readonly why: string };

/** The scope of a worker; Deno's types for programs have none. */
const scope = self as unknown as {
  onmessage: (event: MessageEvent<CellOrder | "stop">) => void;
  postMessage(answer: CellAnswer): void;
};

const stop = new AbortController();

scope.onmessage = ({ data }) => {
  if (data === "stop") stop.abort();
  else run(data).then((answer) => scope.postMessage(answer));
};

async function run({ folder, id, device: kind, threads, ...tracking }: CellOrder): Promise<CellAnswer> {
  try {
    const study = await requireStudy(folder);
    const cell = requireCell(study, id);
    const device = await init({ device: kind, threads });
    const ended = await runCell(study, cell, {
      ...tracking,
      device,
      signal: stop.signal,
      say: (said) => scope.postMessage({ said }),
    });
    device.close();
    return { ended };
  } catch (error) {
    return { ended: "failed", why: describeError(error) };
  }
}
