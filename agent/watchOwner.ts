import { checkRevision } from "../policy/authorize.ts";
import type { Policy } from "../policy/policy.ts";
import type { watchClock } from "./clock.ts";
import type { Logger } from "./logger.ts";
import type { ReadPolicy } from "./owner/policy.ts";
import { readSwitch } from "./owner/switch.ts";
import { type Road, write } from "./road.ts";
import type { Status } from "./status.ts";

/** What the owner's folder says, and each change of it on record. */
export function watchOwner(road: Road, clock: ReturnType<typeof watchClock>, say: Logger) {
  let last: { inode: number | null; policy: string } = { inode: null, policy: "" };
  let refusing: string | null = null;
  let policy: Status["policy"] = null;
  let inForce: Policy | null = null;
  let why: string | null = null;
  return {
    policy: () => policy,
    /** The policy as it was looked at last; null while it refuses everything. For `status` only: each command reads it anew. */
    inForce: () => inForce,
    state(): { state: "ready" | "suspended" | "refusing"; reason: string } {
      if (why !== null) return { state: "suspended", reason: why.slice(0, 256) };
      if (refusing !== null) return { state: "refusing", reason: refusing.slice(0, 256) };
      return { state: "ready", reason: "" };
    },
    look() {
      const now = readSwitch(road.owner);
      why = now.on ? null : now.why;
      if (road.log.memory.switchOn !== now.on) {
        write(road, { kind: "switch", on: now.on, why: why ?? "" });
        say(
          now.on ? "info" : "warn",
          now.on ? "the owner's switch is on" : "suspended by the customer: every command is refused",
          { why: why ?? "" },
        );
      }
      // Only a switch that was really taken away and put back is the owner's resume; one that could not be read is not.
      const inode = now.on ? now.inode : now.missing ? null : last.inode;
      if (inode !== null && inode !== last.inode) clock.accept();
      const seen = clock.look();
      if (seen.changed) {
        write(road, { kind: "clock", jumped: seen.jumped, agrees: seen.agrees });
        say("warn", seen.agrees ? "the clock agrees again" : "the clock jumped: commands are refused", {
          seconds: seen.jumped,
        });
      }
      const file = road.readPolicy("act");
      const older = "policy" in file ? checkRevision(file.policy, road.history(), "act") : null;
      const read: ReadPolicy = older === null ? file : { refusal: older, digest: file.digest };
      const digest = read.digest ?? `sha256:${"0".repeat(64)}`;
      const code = "refusal" in read ? read.refusal.code : null;
      const revision = "policy" in read ? read.policy.revision : 0;
      const told = `${digest} ${code}`;
      inForce = "policy" in read ? read.policy : null;
      policy = "policy" in read ? { digest, revision } : null;
      refusing =
        "refusal" in read ? `${read.refusal.code}: ${read.refusal.because}` : seen.agrees ? null : "the clock jumped";
      if (told !== last.policy) {
        const recorded = road.log.memory.policy;
        if (recorded?.digest !== digest || recorded.code !== code)
          write(road, { kind: "policy", policy: digest, revision, code });
        if ("refusal" in read)
          say("error", `the policy refuses everything: ${read.refusal.because}`, {
            code: read.refusal.code,
            hint: read.refusal.hint,
          });
        else say("info", "the policy is in force", { revision, digest });
      }
      last = { inode, policy: told };
    },
  };
}
