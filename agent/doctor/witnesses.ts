import type { Config } from "../config.ts";
import type { StatusFact } from "./facts.ts";
import { fail, type Line, ok, warn } from "./line.ts";

/** The witnesses that the config names, as the running agent has found them. None are named: nobody but the control plane remembers the log. */
export function witnessLines(config: Config, status: StatusFact): Line[] {
  if (config.witnesses.length === 0)
    return [
      ok(
        "witness",
        "witnesses",
        "the config names none: whether the newest entries were cut off, the control plane alone can say",
      ),
    ];
  return config.witnesses.map((witness): Line => {
    const who = `${witness.name}${witness.required ? " (required)" : ""} at ${witness.url}`;
    if (status.state !== "kept" || !status.alive)
      return warn("witness", who, "the agent does not run: nothing is known of it", "See the line `contact`.");
    const seen = status.witnesses.find(({ name }) => name === witness.name);
    if (seen === undefined)
      return warn("witness", who, "the agent that runs does not know it", "Restart the agent: systemctl restart reeve");
    const far = seen.at === null ? "nothing cosigned yet" : `it has cosigned ${seen.size} entries, last ${seen.at}`;
    if (seen.failing === null) return ok("witness", who, far);
    const found = `not since ${seen.failing.since} (${seen.failing.reason}); ${far}`;
    const hint = "Look at the witness and the way to it; what it has missed it is shown when it is back.";
    return witness.required
      ? fail("witness", who, `${found}. Commands wait for it`, hint)
      : warn("witness", who, found, hint);
  });
}
