import { init } from "../../kernels/mod.ts";
import { describeError } from "../cli/task.ts";
import { type CellEnd, runCell } from "./run_cell.ts";
import { requireCell, requireStudy } from "./study.ts";
import { type CellAnswer, type CellOrder, openCellLog } from "./local.ts";

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

/** Runs a cell, and logs its lines. */
async function run(order: CellOrder): Promise<CellAnswer> {
  const failed = (why: string) => ({ ended: "failed", why }) as const;
  let log: Awaited<ReturnType<typeof openCellLog>> | undefined;
  try {
    log = await openCellLog(order, order);
    return { ended: await runOrdered(order, log.add) };
  } catch (error) {
    const why = describeError(error);
    const [line] = why.split("\n");
    if (!log) return failed(line);
    try {
      log.add(why);
      return failed(`${line}; see ${log.path}`);
    } catch (error) {
      return failed(`${line}; ${describeError(error)}`);
    }
  }
}

async function runOrdered(
  { folder, id, device: kind, threads, ...tracking }: CellOrder,
  say: (line: string) => void,
): Promise<CellEnd> {
  const study = await requireStudy(folder);
  const cell = requireCell(study, id);
  const device = await init({ device: kind, threads });
  const end = await runCell(study, cell, { ...tracking, device, signal: stop.signal, say });
  device.close();
  return end;
}
