import { mostThreads } from "../../../kernels/devices/cpu/most_threads.ts";
import type { Check } from "../check.ts";
import { error, ok, warning } from "../finding.ts";

/** Whether the CPU device takes the processors that this process may use. */
export const cpuThreads: Check = ({ device, parallelism, host }) => {
  if (device instanceof Error) return [];
  const quota = Number.isFinite(host.quota) ? host.quota : null;
  const { threads } = device;
  const values = {
    processors: host.processors ?? null,
    usable: parallelism,
    quota,
    threads: threads ?? null,
  };
  const of = host.processors !== undefined && host.processors > parallelism
    ? `${parallelism} of the machine's ${host.processors} processors may be used` +
      (quota === null ? "" : ` (control groups allow ${quota})`)
    : `${parallelism} processors`;
  if (threads === undefined) return [ok(of, values)]; // a GPU computes
  if (quota !== null && threads > Math.ceil(quota)) {
    return [
      warning(
        `${threads} threads share the time of ${quota} processors`,
        `use --threads ${Math.floor(quota) || 1}`,
        values,
      ),
    ];
  }
  const most = Math.min(parallelism, mostThreads);
  if (threads < most) {
    return [error(`${threads} of ${parallelism} processors are used`, "leave --threads out", values)];
  }
  return [ok(`${of}, ${threads} threads`, values)];
};
