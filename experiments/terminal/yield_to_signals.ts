/** Signals wait while a device computes in this thread; a pause lets them in. */
export { pause as yieldToSignals, throttledPause as throttledYieldToSignals } from "../../models/pause.ts";
