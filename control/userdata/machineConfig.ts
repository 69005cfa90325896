import { stringify } from "yaml";
import { type Config, parseConfig, worksIn } from "../../agent/config.ts";
import type { TokenClaims } from "../../agent/wire/protocol.ts";
import { timeText } from "../../policy/duration.ts";
import { loadPolicy } from "../../policy/parse.ts";
import { strictYaml } from "../../policy/yaml.ts";
import { Complaint } from "../terminal.ts";
import { isPlainPath } from "./script.ts";

export type MachineConfig = Config;

const CANNOT = "render user-data";
/** What the unit and the join decide, and no file of the customer's. */
const OURS = ["version", "cluster", "control_plane", "state", "runtime", "token", "first_until"];

export type Asked = {
  readonly cluster: string;
  readonly provider: string;
  readonly claims: Pick<TokenClaims, "url" | "sha">;
  /** RFC 7638 thumbprint of the first command key. */
  readonly trustSha256: string;
  /** Until when the machine that joins is the cluster's first, in Unix seconds; null: it is not. */
  readonly firstUntil: number | null;
  /** YAML of the other fields; null: none. */
  readonly more: string | null;
};

/**
 * The machine's reeve.yaml, judged by the agent's own parser. Both pins are in it: a machine that replaces another knows by them whom it
 * proves itself to when the token is used up.
 */
export function machineConfig(asked: Asked): { readonly text: string; readonly config: Config } {
  const { provider, ...more } = moreFields(asked.more);
  if (provider !== undefined && provider !== asked.provider)
    throw new Complaint(2, CANNOT, "--config names another provider than --provider", "Name the same in both.");
  const fields = {
    version: 1,
    cluster: asked.cluster,
    control_plane: { enrol: asked.claims.url, trust_sha256: asked.trustSha256, root_sha256: asked.claims.sha },
    ...(asked.firstUntil === null ? {} : { first_until: timeText(asked.firstUntil * 1000) }),
    token: { file: "/var/lib/reeve/join-token" },
    provider: asked.provider,
    ...more,
  };
  const text = stringify(fields, { lineWidth: 0, aliasDuplicateObjects: false, singleQuote: true });
  const parsed = parseConfig(text);
  if ("config" in parsed) return { text, config: parsed.config };
  const why = parsed.faults.map(({ message }) => message).join("; ");
  throw new Complaint(
    3,
    CANNOT,
    `the agent would not take this config: ${why}`,
    "docs/OPERATIONS.md names every field.",
  );
}

function moreFields(text: string | null): Readonly<Record<string, unknown>> {
  if (text === null) return {};
  const { value, faults } = strictYaml(text);
  const first = faults[0]?.message ?? (isFields(value) ? null : "it is no map of fields");
  if (first !== null)
    throw new Complaint(
      3,
      CANNOT,
      `--config is not to be read: ${first}`,
      "Write fields of reeve.yaml, as in docs/OPERATIONS.md.",
    );
  const ours = OURS.find((name) => Object.hasOwn(value as object, name));
  if (ours === undefined) return value as Record<string, unknown>;
  throw new Complaint(2, CANNOT, `--config names ${ours}, which the join decides`, `Leave ${ours} out.`);
}

function isFields(value: unknown): boolean {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** The owner's folder of this machine; null where it is a bucket. */
export function ownersPath(config: Config): string | null {
  if (!("directory" in config.owner)) return null;
  const { directory, uid } = config.owner;
  if (uid !== 0 || !isPlainPath(directory) || !directory.startsWith("/etc/"))
    throw new Complaint(
      2,
      CANNOT,
      "the owner's folder is not root's own below /etc",
      "Leave `owner` out, for /etc/reeve/owner, or name a bucket.",
    );
  return directory;
}

/** The policy's text, if the agent would put it in force: it loads, its tests pass, and it is about this cluster and place. */
export function machinePolicy(bytes: Uint8Array, config: Config): string {
  const loaded = loadPolicy(bytes);
  const refuse = (why: string, hint: string): never => {
    throw new Complaint(3, CANNOT, `the policy ${why}`, hint);
  };
  if (!("policy" in loaded)) {
    const first = loaded.errors[0];
    return refuse(`is refused, line ${first?.line}: ${first?.message}`, first?.hint ?? "Put it right.");
  }
  const { policy } = loaded;
  if (policy.cluster !== config.cluster)
    return refuse(`is of the cluster ${policy.cluster}`, `Take ${config.cluster}'s.`);
  if (!Bun.deepEquals(policy.place, worksIn(config)))
    return refuse("is for another place than the config", "Compare its `place` with the provider's fields.");
  return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
}
