import type { Measurement } from "./timing.ts";

/** A number other than a time, such as bytes of memory. */
interface Fact {
  readonly name: string;
  readonly value: number;
  readonly unit: string;
}

/** Output of a benchmark with `--json`. */
interface Report {
  /** The adapter or processor. */
  readonly device: string;
  readonly measurements: readonly Measurement[];
  readonly facts: readonly Fact[];
}

/** Prints the results of a benchmark: line by line as text, or all together as JSON. */
export class Reporter {
  readonly #measurements: Measurement[] = [];
  readonly #facts: Fact[] = [];

  constructor(readonly device: string, readonly json: boolean) {
    this.note(`device: ${device}`);
  }

  /** Prints a line of text, which is not part of the JSON. */
  note(text: string): void {
    if (!this.json) console.log(text);
  }

  /** A measurement. */
  readonly add = (found: Measurement): void => {
    this.#measurements.push(found);
    const { name, milliseconds, rate, unit } = found;
    this.note(`${name.padEnd(68)} ${number(milliseconds, 9)} ms ${number(rate, 9)} ${unit}`);
  };

  /** Facts for the JSON only. */
  keep(facts: readonly (readonly [name: string, value: number, unit: string])[]): void {
    for (const [name, value, unit] of facts) this.#facts.push({ name, value, unit });
  }

  /** A count, or a ratio of measurements. */
  fact(name: string, value: number, unit: string): void {
    this.#facts.push({ name, value, unit });
    this.note(`${name.padEnd(68)} ${number(value, 12)} ${unit}`);
  }

  /**
   * Prints our measurements next to those of another library as a table; in the JSON, names tell the library.
   *
   * @param theirs measurements of the other library, in any order
   */
  against(who: string, ours: readonly Measurement[], theirs: readonly Measurement[]): void {
    const byName = new Map(theirs.map((found) => [found.name, found]));
    this.note(`\n${"".padEnd(60)} ${"ours".padStart(10)} ${who.padStart(10)}   ours / ${who}`);
    for (const our of ours) {
      const their = byName.get(our.name);
      if (!their) throw new Error(`${who} did not measure "${our.name}"`);
      this.#measurements.push({ ...our, name: `ours: ${our.name}` }, {
        ...their,
        name: `${who}: ${our.name}`,
      });
      const ratio = `${number(our.rate / their.rate, 5)} times`;
      this.note(
        `${our.name.padEnd(60)} ${number(our.rate, 10)} ${number(their.rate, 10)} ${our.unit} ${ratio}`,
      );
    }
  }

  /** Prints the JSON; called at the end. */
  end(): void {
    if (!this.json) return;
    const report: Report = { device: this.device, measurements: this.#measurements, facts: this.#facts };
    console.log(JSON.stringify(report, null, 2));
  }
}

/** Three significant digits, or all digits before the point, right-aligned. */
function number(value: number, width: number): string {
  const digits = value === 0 ? 0 : Math.max(0, 2 - Math.floor(Math.log10(Math.abs(value))));
  return value.toFixed(Math.min(digits, 6)).padStart(width);
}
