import { REFUSAL_CODES } from "../policy/refusal.ts";
import type { EntryBody } from "./audit/entry.ts";
import { timeOf } from "./audit/time.ts";
import { type Disk, DiskError } from "./host/host.ts";
import { METRICS_SECONDS } from "./limits.ts";
import type { Logger } from "./logger.ts";
import type { Status } from "./status.ts";
import { counter, type Family, gauge, plainText } from "./wire/exposition.ts";

/** What an agent that has joined knows beside its status. */
export type Facts = {
  /** Milliseconds since 1970. */
  readonly certificateUntil: number;
  /** The log's reserve is whole. */
  readonly roomy: boolean;
};
type Shown = Omit<Status, "since">;
/** Refusals by code since this process started. */
type Refused = ReadonlyMap<string, number>;

const STATES: readonly Status["state"][] = [
  "enrolling",
  "ready",
  "waiting",
  "suspended",
  "refusing",
  "stopped",
  "fenced",
];

/** The agent's numbers for a machine's own collector: nothing but what `reeve status` shows. `now`: milliseconds. Pure. */
export function metricsOf(status: Shown, facts: Facts | null, refused: Refused, now: number): Family[] {
  const one = (name: string, help: string, value: number | null, unit?: Family["unit"]): Family =>
    gauge(`reeve_agent_${name}`, help, value === null ? [] : [{ value }], unit);
  const size = status.log?.size ?? null;
  const build = { version: status.version, cluster: status.cluster };
  const byWitness = (value: (witness: Status["witnesses"][number]) => number) =>
    status.witnesses.map((witness) => ({
      labels: { witness: witness.name, required: witness.required ? "yes" : "no" },
      value: value(witness),
    }));
  return [
    {
      name: "reeve_agent",
      type: "info",
      help: "The agent's version, and the cluster that its config names.",
      samples: [{ labels: build, value: 1 }],
    },
    one("written_timestamp_seconds", "When this file was written.", seconds(now), "seconds"),
    gauge(
      "reeve_agent_state",
      "1 for the state that the agent is in, 0 for the others.",
      STATES.map((state) => ({ labels: { state }, value: state === status.state ? 1 : 0 })),
    ),
    one("epoch", "The epoch that this agent acts in.", status.epoch),
    one("policy_revision", "Revision of the policy in force.", status.policy?.revision ?? null),
    one("in_contact", "Whether the control plane answers.", status.out_of_contact === null ? 1 : 0),
    one(
      "last_contact_timestamp_seconds",
      "The control plane's newest good answer.",
      status.last_contact === null ? null : seconds(timeOf(status.last_contact) ?? 0),
      "seconds",
    ),
    one(
      "certificate_expiry_timestamp_seconds",
      "When the agent's certificate ends; it is renewed at two thirds of its life.",
      facts === null ? null : seconds(facts.certificateUntil),
      "seconds",
    ),
    one("log_entries", "Entries of this epoch's log.", size),
    one("log_reserve_whole", "Whether the log's reserved space is there.", facts === null ? null : Number(facts.roomy)),
    one("running_commands", "Commands that run.", status.running),
    one("waiting_approvals", "What waits for people's approval.", status.waiting.length),
    one("intake_commands", "Commands taken in within the last hour.", status.intake.taken),
    one("intake_limit_commands", "Commands that may be taken in within an hour.", status.intake.of),
    one("intake_full", "Whether no more are taken in for now.", Number(status.intake.full)),
    counter(
      "reeve_agent_refused",
      "Refusals on record since this process started, by code.",
      // A count that begins at 1 has not risen, for who reads it: each is there from the start.
      REFUSAL_CODES.map((code) => ({ labels: { code }, value: refused.get(code) ?? 0 })),
    ),
    gauge(
      "reeve_agent_witness_lag_entries",
      "Entries that a witness has not cosigned, as far as this process knows.",
      size === null ? [] : byWitness((witness) => Math.max(0, size - witness.size)),
    ),
    gauge(
      "reeve_agent_witness_failing",
      "Whether a witness does not cosign.",
      byWitness((witness) => (witness.failing === null ? 0 : 1)),
    ),
  ];
}

function seconds(milliseconds: number): number {
  return Math.floor(milliseconds) / 1000;
}

export type MetricsFile = {
  /** What was just written into the log. */
  count(bodies: readonly EntryBody[]): void;
  /** From now on these are known too; asked for at each writing. */
  know(facts: () => Facts): void;
  /** At most every METRICS_SECONDS, and when the state is another one. */
  take(status: Shown): void;
};

/**
 * Keeps RUNTIME/metrics.prom, for node_exporter's textfile collector. Replaced whole, so that nobody reads a half. A disk that does not take it stops
 * nothing: it is said once, and the file's own time says how old it is.
 */
export function metricsFile(disk: Disk, path: string, now: () => number, say: Logger): MetricsFile {
  const refused = new Map<string, number>();
  let facts: (() => Facts) | null = null;
  let written: { readonly at: number; readonly state: string } | null = null;
  let failing = false;
  return {
    count(bodies) {
      for (const body of bodies)
        if (body.kind === "refused" || body.kind === "rejected" || body.kind === "trust-refused")
          refused.set(body.code, (refused.get(body.code) ?? 0) + 1);
    },
    know(more) {
      facts = more;
    },
    take(status) {
      const at = now();
      const fresh = written !== null && Math.abs(at - written.at) < METRICS_SECONDS * 1000;
      if (fresh && written?.state === status.state) return;
      written = { at, state: status.state };
      try {
        const text = plainText(metricsOf(status, facts?.() ?? null, refused, at));
        disk.replace(path, Buffer.from(text), 0o644);
        failing = false;
      } catch (error) {
        if (!(error instanceof DiskError)) throw error;
        if (!failing) say("warn", "the numbers for the monitoring cannot be written", { path, code: error.code });
        failing = true;
      }
    },
  };
}
