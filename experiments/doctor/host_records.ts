/** One line that `look.sh` prints: what it is about, and its fields. */
export interface HostRecord {
  readonly kind: string;
  readonly fields: readonly string[];
}

/** The records of what `look.sh` printed. */
export function fieldsOf(text: string): HostRecord[] {
  return text.split("\n").filter((line) => line !== "").map((line) => {
    const [kind, ...fields] = line.split("\t");
    return { kind, fields };
  });
}

/** The fields of all records of a kind. */
export function only(records: readonly HostRecord[], kind: string): (readonly string[])[] {
  return records.filter((record) => record.kind === kind).map(({ fields }) => fields);
}

/** The first field of the first record of a kind; empty if there is none. */
export function textOf(records: readonly HostRecord[], kind: string): string {
  return only(records, kind)[0]?.[0] ?? "";
}
