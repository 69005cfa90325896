import { checkRevision } from "../../policy/authorize.ts";
import { otherPlace } from "../../policy/match.ts";
import type { Policy } from "../../policy/policy.ts";
import type { Config } from "../config.ts";
import { worksIn } from "../config.ts";
import type { ConfigFact, LogFact, OwnerFact } from "./facts.ts";
import { fail, type Line, ok, warn } from "./line.ts";
import { type AgentUser, mayEnter, mayWrite, octal, type PathFact, replaceableIn } from "./user.ts";

export function configLines(fact: ConfigFact, config: Config | null, user: AgentUser): Line[] {
  const { path, stat } = fact;
  if (fact.complaint !== null) {
    const rest =
      config === null ? "; it says where all else lies, so policy, state and network were not looked at" : "";
    return [fail("config", path, `${fact.complaint.because}${rest}`, fact.complaint.hint)];
  }
  if (fact.closed !== null)
    return [
      fail(
        "config",
        path,
        `it is valid, but the agent's user, uid ${user.uid}, cannot read it (${fact.closed})`,
        `chmod go+r ${path}, and o+x on the folders above it`,
      ),
    ];
  if (stat === null || config === null) throw new Error("a valid config was not read");
  const valid = `valid, owned by uid ${stat.uid}, mode ${octal(stat.mode)}`;
  if (user.uid === 0) return [ok("config", path, valid)];
  const folder = replaceableIn(fact.folders, user);
  if (mayWrite(stat, user) || folder !== null)
    return [
      fail(
        "config",
        path,
        `the agent's user, uid ${user.uid}, can change it${folder === null ? "" : `, for it can write in ${folder.path}`}`,
        `chown root ${folder?.path ?? path} && chmod go-w ${folder?.path ?? path}`,
      ),
    ];
  return [ok("config", path, `${valid}, not writable by the agent`)];
}

export function policyLines(owner: OwnerFact, config: Config, log: LogFact): Line[] {
  const path = `${owner.path}/policy.yaml`;
  const read = owner.policy;
  if ("refusal" in read)
    return [
      fail("policy", path, `it permits nothing: ${read.refusal.because} (${read.refusal.code})`, read.refusal.hint),
    ];
  const { policy, digest } = read;
  const older = log.state === "whole" ? checkRevision(policy, { revision: log.revision }, "act") : null;
  if (older !== null) return [fail("policy", path, `it permits nothing: ${older.because}`, older.hint)];
  if (policy.cluster !== config.cluster)
    return [
      fail(
        "policy",
        path,
        `it permits nothing here: it is for the cluster ${policy.cluster}, and the config says ${config.cluster}`,
        "Put this cluster's policy there, or correct the config.",
      ),
    ];
  const elsewhere = otherPlace(policy.place, worksIn(config));
  if (elsewhere !== null)
    return [
      fail(
        "policy",
        path,
        `it permits nothing here: it is for the ${elsewhere.field} ${elsewhere.named}, and the config says ${elsewhere.here}`,
        "place in the policy, and provider with its own fields in the config, must name the same.",
      ),
    ];
  const seen = log.state === "whole" && log.revision > 0 ? ` (the log has seen ${log.revision})` : "";
  const tests = `${policy.tests.length} tests pass`;
  const worth = owner.warnings === 0 ? "" : `; ${owner.warnings} things to look at twice: reeve policy check ${path}`;
  return [
    ok("policy", path, `revision ${policy.revision}${seen}, ${policy.rules.length} rules, ${tests}, ${digest}${worth}`),
    peopleLine(policy),
  ];
}

function rulesWithApproval(policy: Policy): Policy["rules"] {
  return policy.rules.filter((rule) => rule.approval !== "none");
}

function peopleLine(policy: Policy): Line {
  const people = Object.keys(policy.people);
  const rules = rulesWithApproval(policy).map(({ id }) => id);
  const who = people.length === 0 ? "nobody is named" : `${people.join(", ")} named`;
  const needed = rules.length === 0 ? "no rule asks for an approval" : `approval asked by ${rules.join(", ")}`;
  return ok("policy", "people", `${who}; ${needed}`);
}

export function switchLines(owner: OwnerFact): Line[] {
  const path = `${owner.path}/on`;
  const turnOn = owner.lies === "in-bucket" ? `put ${path} there, with your own rights` : "reeve resume";
  const now = owner.switch;
  if (now.on) return [ok("switch", path, "on: commands are judged by the policy")];
  if (now.missing)
    return [
      warn("switch", path, `off, so every command is refused: ${now.why}`, `When you mean it to be on: ${turnOn}`),
    ];
  return [
    fail(
      "switch",
      path,
      `it counts as off, for it cannot be judged: ${now.why}`,
      `Correct what it says, or write it anew: ${turnOn}`,
    ),
  ];
}

/** The owner's folder, judged as the agent judges it, and that the agent's user cannot change it. */
export function ownerLines(owner: OwnerFact, user: AgentUser): Line[] {
  const directory = owner.path;
  if (owner.lies === "in-bucket")
    return [
      ok("owner", directory, "in a bucket: who may change it there is the cloud's to say (reeve policy permissions)"),
    ];
  const { uid } = owner.lies;
  const { stat, code } = owner.lies.folder;
  if (stat === null)
    return [
      code === "ENOENT"
        ? fail("owner", directory, "there is no such folder", `install -d -o ${uid} -m 0755 ${directory}`)
        : fail("owner", directory, `the agent's user cannot look at it (${code})`, `chmod o+x on the folders above it`),
    ];
  if (stat.kind !== "directory")
    return [fail("owner", directory, "it is not a folder", "Name the folder itself: a link is not followed.")];
  if (stat.uid !== uid && stat.uid !== 0)
    return [
      fail(
        "owner",
        directory,
        `it belongs to uid ${stat.uid}, and the config's owner is uid ${uid}: policy and switch count for nothing`,
        `chown ${uid} ${directory}`,
      ),
    ];
  if ((stat.mode & 0o022) !== 0)
    return [
      fail(
        "owner",
        directory,
        `others can write it (mode ${octal(stat.mode)}): policy and switch count for nothing`,
        `chmod go-w ${directory}`,
      ),
    ];
  if (user.uid === 0)
    return [
      warn(
        "owner",
        directory,
        "the agent's user is root, so it could write its own policy",
        "Give the agent a user of its own; the unit that comes with it does (User=reeve).",
      ),
    ];
  if (stat.uid === user.uid)
    return [
      fail(
        "owner",
        directory,
        `it belongs to the agent's own user, uid ${user.uid}: the agent could write its own policy`,
        `chown root ${directory} and what lies in it`,
      ),
    ];
  const above = replaceableIn(owner.lies.folders, user);
  if (above !== null)
    return [
      fail(
        "owner",
        directory,
        `the agent's user, uid ${user.uid}, can put another in its place, for it can write in ${above.path}`,
        `chown root ${above.path} && chmod go-w ${above.path}`,
      ),
    ];
  return [
    ok("owner", directory, `owned by uid ${stat.uid}, mode ${octal(stat.mode)}; the agent can read and not write it`),
  ];
}

export function approvalsLines(owner: OwnerFact, user: AgentUser): Line[] {
  // In a bucket there are no folders: what is not there is not approved.
  if (owner.lies === "in-bucket") return [];
  const { path } = owner.lies.approvals;
  const needing = "policy" in owner.policy ? rulesWithApproval(owner.policy.policy).map(({ id }) => id) : [];
  const { stat, code } = owner.lies.approvals;
  const make = `install -d -o ${owner.lies.uid} -m 0755 ${path}`;
  if (stat === null && code === "ENOENT") {
    if (needing.length === 0) return [ok("approvals", path, "not there, and no rule asks for an approval")];
    return [warn("approvals", path, `not there, and these rules ask for approvals: ${needing.join(", ")}`, make)];
  }
  const fault = approvalsFault(owner.lies.approvals, user);
  if (fault !== null) return [fail("approvals", path, fault.found, fault.hint)];
  return [
    ok(
      "approvals",
      path,
      "a folder that the agent can look into; who may write there does not matter, for a signature speaks for itself",
    ),
  ];
}

function approvalsFault({ path, stat, code }: PathFact, user: AgentUser): { found: string; hint: string } | null {
  if (stat === null) return { found: `the agent's user cannot look at it (${code})`, hint: `chmod o+x ${path}` };
  if (stat.kind !== "directory") return { found: "it is not a folder", hint: "Move it away, and make a folder there." };
  return mayEnter(stat, user)
    ? null
    : {
        found: `the agent's user, uid ${user.uid}, may not enter it (mode ${octal(stat.mode)})`,
        hint: `chmod o+x ${path}`,
      };
}
