/** What comes out of a study, by the names of the files in its folder. */
export const resultFile = {
  /** All numbers: setups, differences, where time reaches, and the conclusion. */
  results: "results.json",
  /** The conclusion and the tables, in Markdown. */
  table: "table.md",
  /** Every mean and difference, a line each. */
  csv: "table.csv",
  /** Quality against images, parameters and seconds, to look into. */
  figure: "figure.html",
  svg: "figure.svg",
  png: "figure.png",
  /** Samples of all setups from the same noise. */
  gif: "comparison.gif",
  /** All runs under one slider. */
  report: "report.html",
} as const;
