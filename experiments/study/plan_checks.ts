import {
  count,
  type FieldCheck,
  fieldsOf,
  finiteNumber,
  ifGiven,
  listOf,
  optional,
  tableOf,
  text,
} from "../run/field_checks.ts";
import { presetNames } from "../settings/training.ts";
import type { Plan, PlannedEvaluation } from "./plan.ts";

const value: FieldCheck = {
  expected: "text, a number, a list of numbers or a switch",
  accepts: (value) =>
    ["string", "boolean"].includes(typeof value) || Number.isFinite(value) ||
    Array.isArray(value) && value.every(Number.isFinite),
};

/** Settings by name. */
export const settings: FieldCheck = tableOf(value);

const budget: FieldCheck = {
  expected: "steps, a whole number of at least 1, or minutes, above 0",
  accepts: (value) => {
    const { steps, minutes } = Object(value);
    const given = Object.keys(Object(value)).length;
    return given === 1 &&
      (Number.isSafeInteger(steps) && steps > 0 || Number.isFinite(minutes) && minutes > 0);
  },
};

/** What a complete evaluation has, and what it may have. */
const always = {
  ...{ count, seed: count, courseImages: count, bitsImages: count },
  solvers: listOf(text),
} satisfies Partial<Record<keyof PlannedEvaluation, FieldCheck>>;
const sometimes = { solver: text, guidance: finiteNumber, milestones: count };
const evaluation: Readonly<Record<keyof PlannedEvaluation, FieldCheck>> = { ...always, ...sometimes };

/** Checks of fields, each changed by `how`, such as `ifGiven` for fields that need not be there. */
export function eachOf(
  checks: Readonly<Record<string, FieldCheck>>,
  how: (check: FieldCheck) => FieldCheck,
): Readonly<Record<string, FieldCheck>> {
  return Object.fromEntries(Object.entries(checks).map(([name, check]) => [name, how(check)]));
}

const evaluationFields: FieldCheck = {
  expected: `an object with some of ${Object.keys(evaluation).join(", ")}`,
  accepts: (value) =>
    fieldsOf(eachOf(evaluation, ifGiven)).accepts(value) &&
    Object.keys(Object(value)).every((name) => Object.hasOwn(evaluation, name)),
};

/** What the fields of a plan must be. */
export const planChecks: Readonly<Record<keyof Plan, FieldCheck>> = {
  name: {
    expected: "letters, digits, dots, hyphens and underscores",
    accepts: (value) => typeof value === "string" && /^\w[\w.-]*$/.test(value),
  },
  preset: {
    expected: presetNames.join(", "),
    accepts: (value) => presetNames.some((name) => name === value),
  },
  ...{ grid: tableOf(listOf(value)), cells: listOf(settings), fixed: settings },
  ...{ seeds: listOf(count), budget, evaluation: evaluationFields },
};

/** What the fields of a plan must be that a study has completed; until 0.4.1 it could hold null for nothing. */
export const completePlanChecks: Readonly<Record<keyof Plan, FieldCheck>> = {
  ...planChecks,
  evaluation: fieldsOf({ ...always, ...eachOf(sometimes, optional) }),
};

/** An evaluation without the fields that are null. */
export function withoutNulls(evaluation: PlannedEvaluation): PlannedEvaluation {
  const given = Object.entries(evaluation).filter(([, value]) => value !== null);
  return Object.fromEntries(given) as unknown as PlannedEvaluation;
}
