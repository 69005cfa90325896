import { whyNot } from "./stage.ts";

const why = await whyNot();
if (why !== null) console.log(`skipped: no machine can be booted here: ${why}`);

/** Whether no machine can be booted here; why is printed once. */
export const NO_MACHINE = why !== null;
