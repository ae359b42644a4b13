import { nextOrder } from "./order.ts";

/** One range of a memory and what wrote to it last. */
interface Write {
  readonly start: number;
  readonly end: number;
  readonly by: string;
  readonly order: number;
}

/** Which parts of a memory were overwritten, when, and by what; each range is kept once, with its latest write. */
export class Writes {
  readonly #ranges = new Map<string, Write>();
  #latest = -1;

  /** Notes that `length` elements from `start` on were overwritten. */
  add(start: number, length: number, by: string): void {
    this.#latest = nextOrder();
    this.#ranges.set(`${start}+${length}`, { start, end: start + length, by, order: this.#latest });
  }

  /** What wrote to any of `length` elements from `start` on after the event `since`, if anything did. */
  find(start: number, length: number, since: number): string | undefined {
    if (this.#latest <= since) return undefined;
    for (const write of this.#ranges.values()) {
      if (write.order > since && write.start < start + length && start < write.end) return write.by;
    }
    return undefined;
  }
}
