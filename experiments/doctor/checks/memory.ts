import type { Check } from "../check.ts";
import { ok, shownBytes, warning } from "../finding.ts";

/** Less than this and little besides the data set fits. */
const leastBytes = 2 ** 30;

/** Main memory, as this process may use it. */
export const mainMemory: Check = ({ memory: { total, available, limit } }) => {
  const limited = limit < total;
  const free = Math.min(available, limit);
  const values = {
    totalBytes: total,
    availableBytes: available,
    limitBytes: limited ? limit : null,
  };
  const says = limited
    ? `${shownBytes(limit)} may be used, of ${shownBytes(total)}: a control group limits it`
    : `${shownBytes(available)} free of ${shownBytes(total)}`;
  if (free >= leastBytes) return [ok(says, values)];
  const more = limited ? "ask for more (Docker: --memory, Slurm: --mem)" : "end other programs";
  return [warning(says, `${more}, or train with smaller --filters or --batch-size`, values)];
};
