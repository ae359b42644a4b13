import type { Cursor } from "./cursor.ts";
import type { RunRecord } from "./record.ts";
import { asText } from "../settings/setting.ts";
import { runFile } from "../run/layout.ts";

const results = {
  test_loss: "test loss",
  val_loss: "validation loss",
  train_loss: "training loss",
  "system/images_per_second": "images a second",
};

const endings = { RUNNING: "is running", FINISHED: "finished", FAILED: "failed", KILLED: "was stopped" };

/** Describes a run in Markdown: network, data, results and folder. */
export function noteOf({ folder, record, config, environment, cursor }: {
  readonly folder: string;
  readonly record: RunRecord;
  readonly config: Readonly<Record<string, unknown>>;
  readonly environment: Readonly<Record<string, unknown>>;
  readonly cursor: Cursor;
}): string {
  const { dataset, parameterCount, status, startedAt, endedAt, reason } = record;
  const adapter = environment.adapter as { description?: unknown } | undefined;
  const facts = [
    config.model === undefined ? `**${plain(record.name)}**` : `**${plain(config.model)} U-Net**`,
    ...Array.isArray(config.filters) ? [`channels ${config.filters.map(asText).join(", ")}`] : [],
    ...parameterCount === null ? [] : [`${parameterCount.toLocaleString("en")} parameters`],
    ...dataset === null
      ? []
      : [`trained on ${dataset.train.toLocaleString("en")} images of ${plain(dataset.name)}`],
    ...adapter?.description === undefined ? [] : [`computed by ${plain(adapter.description)}`],
  ];
  const trained = cursor.latest.elapsed_seconds?.value ?? (Math.max((endedAt ?? 0) - startedAt, 0) / 1000);
  const minutes = endedAt === null ? "" : ` after ${(trained / 60).toFixed(1)} minutes`;
  const measured = Object.entries(results).flatMap(([key, name]) => {
    const found = cursor.latest[key];
    // JSON has no NaN.
    const value = typeof found?.value === "number" ? Number(found.value.toPrecision(4)) : "not a number";
    return found === undefined ? [] : [{ name, value, step: found.step }];
  });
  const rows = measured.map(({ name, value, step }) => `| ${name} | ${value} | ${step} |`);
  // The page shows only the first lines unless it is unfolded.
  const outcome = reason === null
    ? measured.map(({ name, value }) => `${name} ${value}`).join(", ")
    : plain(reason);
  const commit = environment.gitCommit;
  return [
    facts.join(", "),
    `The run ${endings[status]}${minutes}${outcome === "" ? "" : `: ${outcome}`}.`,
    ...rows.length === 0 ? [] : [["| result | value | step |", "| --- | --- | --- |", ...rows].join("\n")],
    // Relative to the run's page.
    ...runFile.samples in cursor.files
      ? [`![samples](get-artifact?path=${runFile.samples}&run_uuid=${cursor.runId})`]
      : [],
    `Run folder \`${folder.replaceAll("`", "'")}\`` +
    (typeof commit === "string"
      ? `, code of commit ${commit.slice(0, 10)}${environment.gitDirty ? " with changes" : ""}`
      : ""),
  ].join("\n\n");
}

/** A text with the characters escaped that mean something in Markdown. */
function plain(text: unknown): string {
  return asText(text).replaceAll(/[\\`*_[\]<>|~#]/g, (mark) => `\\${mark}`).replaceAll(/\s+/g, " ");
}
