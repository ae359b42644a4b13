let order = 0;

/** The next number in the order of events: ops that run and writes to memory. */
export function nextOrder(): number {
  return order++;
}
