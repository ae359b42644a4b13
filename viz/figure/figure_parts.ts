import type { PointMark } from "./point_mark.ts";

/** A line through points, or the points alone. */
export interface Trace {
  /** Horizontal positions; one that is not finite breaks the line. */
  readonly x: ArrayLike<number>;
  /** Vertical positions, one for each x. */
  readonly y: ArrayLike<number>;
  /** Default `lines`. */
  readonly mode?: "lines" | "markers";
  /** Name in the legend; without it the trace has no entry. */
  readonly name?: string;
  /** A CSS colour; by default the next of a fixed list. */
  readonly color?: string;
  /** Pixels: width of a line, default 1.5, or diameter of a point, default 5. */
  readonly size?: number;
  /** Shape of points, default `circle`. */
  readonly mark?: PointMark;
}

/** Titles, axes and size of a figure. */
export interface FigureLayout {
  /** Above the figure. */
  readonly title?: string;
  /** Name of the horizontal axis. */
  readonly xTitle?: string;
  /** Name of the vertical axis. */
  readonly yTitle?: string;
  /** Ends of the horizontal axis; by default those of the points. */
  readonly xRange?: readonly [low: number, high: number];
  /** Ends of the vertical axis; by default those of the points. */
  readonly yRange?: readonly [low: number, high: number];
  /** Whether the horizontal axis is logarithmic (2 for powers of two); it then shows positive values only. */
  readonly xLog?: boolean | 2;
  /** Whether the vertical axis is logarithmic (2 for powers of two); it then shows positive values only. */
  readonly yLog?: boolean | 2;
  /** Named dashed horizontal lines, such as the best possible value; the vertical axis includes them. */
  readonly levels?: readonly { readonly y: number; readonly name: string }[];
  /** Whether one unit has the same length on both axes. */
  readonly equalAxes?: boolean;
  /** Pixels, default 700. */
  readonly width?: number;
  /** Pixels, default 400. */
  readonly height?: number;
}

/** What a figure shows at one position of its slider. */
export interface FigureFrame {
  /** The label of the slider at this position. */
  readonly label: string;
  /** Traces in front of the figure's own; the same number in each frame. */
  readonly traces: readonly Trace[];
}

/** A figure's traces, layout and frames. */
export interface FigureParts {
  /** In drawing order. */
  readonly traces: readonly Trace[];
  /** Titles, axes and size. */
  readonly layout: FigureLayout;
  /** Positions of the slider, in order; none without a slider. */
  readonly frames: readonly FigureFrame[];
}
