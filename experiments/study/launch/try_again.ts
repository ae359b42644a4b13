/** Exit code of `--only` where another program holds a cell: try again later. It is that of `EX_TEMPFAIL`. */
export const tryAgain = 75;
