/** The most threads that a CPU device takes; more would only wait for each other. */
export const mostThreads = 64;
