import { timeText } from "./audit/time.ts";
import type { Identity } from "./identity/identity.ts";
import type { Logger } from "./logger.ts";
import type { Ended } from "./poll.ts";
import { type Road, write } from "./road.ts";

/** `proves`: the platform can say who this machine is, so that past the grace the next start enrols anew. */
export async function renew(
  identity: Identity,
  road: Road,
  say: Logger,
  end: (how: Ended) => void,
  proves: boolean,
): Promise<void> {
  const renewal = await identity.renewIfDue();
  if ("renewed" in renewal) {
    const until = timeText(renewal.renewed.untilMs);
    write(road, { kind: "renewed", serial: renewal.renewed.serial, until });
    say("info", "the certificate was renewed", { until });
  }
  if ("fault" in renewal) {
    if (renewal.fault.fault === "fenced") end({ why: "fenced", message: renewal.fault.message });
    else if (renewal.fault.fault === "expired" && proves) end({ why: "expired", message: renewal.fault.message });
    else say("error", renewal.fault.message, { code: renewal.fault.fault, hint: renewal.fault.hint });
  }
}
