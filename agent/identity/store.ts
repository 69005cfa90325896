import { createHash } from "node:crypto";
import { z } from "zod";
import { type Disk, DiskError, type Host, type Stat } from "../host/host.ts";
import { Base64Url32, ClusterName, Sha256Hex, TrustDomain } from "../wire/names.ts";
import { type EnrolmentFault, enrolmentFault } from "./fault.ts";

const MAX_FILE_BYTES = 4 * 1024 * 1024;
const Pem = z.string().max(4096).startsWith("-----BEGIN PRIVATE KEY-----\n");
const Base64 = z
  .string()
  .min(4)
  .max(16 * 1024)
  .regex(/^[A-Za-z0-9+/]+={0,2}$/);
const Milliseconds = z.number().int().min(0);

/** A key and the chain that its certificate heads: base64 DER, leaf first, root last. */
const Slot = z.strictObject({ key: Pem, chain: z.array(Base64).min(2).max(4) });
export type Slot = z.infer<typeof Slot>;
/** A key whose certificate was asked for. The same request is sent until it is answered. */
const Asking = z.strictObject({ key: Pem, csr: Base64 });
export type Asking = z.infer<typeof Asking>;

/** Before the first certificate. The token itself is never stored, its digest tells one token from another. */
const Pending = z.strictObject({
  v: z.literal(1),
  /** Null: it was asked for without one. */
  token_sha256: Sha256Hex.nullable(),
  /** Null in a file of an older agent: then it is the token's. */
  agent_id: z.string().max(512).nullable().default(null),
  began_at_ms: Milliseconds,
  /** Whether this key may have been enrolled: it was sent, and no answer has said that it was not. A file of an older agent does not say. */
  sent: z.boolean().default(false),
  asking: Asking,
});
export type Pending = z.infer<typeof Pending>;

/** The whole identity, one file, so that no crash leaves half of one. */
const Stored = z.strictObject({
  v: z.literal(1),
  cluster: ClusterName,
  trust_domain: TrustDomain,
  epoch: z.number().int().min(1),
  enrolled_at_ms: Milliseconds,
  enrol_url: z.string().max(512),
  agents_url: z.string().max(512),
  trust_sha256: Base64Url32,
  root_sha256: Sha256Hex,
  root: Base64,
  token_sha256: Sha256Hex.nullable(),
  /** Whether it joined by a token that was good by this machine's clock. A file of an older agent does not say. */
  by_token: z.boolean().default(false),
  /** Ed25519, PKCS #8. */
  log_key: Pem,
  /** The next segment's, from just before its first line is written until this one has taken over. */
  next_log_key: Pem.nullable().default(null),
  /** Trust statements from version 1 on, as compact JWS. Checked again from the pin at each start. */
  trust: z.array(z.string().max(64 * 1024)).max(1000),
  current: Slot,
  /** Issued, and not known to be used yet: always used instead of `current`. */
  next: Slot.nullable(),
  asking: Asking.nullable(),
});
export type Stored = z.infer<typeof Stored>;

export const NAMES = { agent: "agent.json", pending: "pending.json", root: "root.pem", fenced: "fenced.json" } as const;

/** `<state>/identity`: 0700, files 0600, owned by the agent's own user; anything else is refused, never repaired. */
export type Store = {
  load(): Stored | null | EnrolmentFault;
  save(stored: Stored): void;
  loadPending(): Pending | null | EnrolmentFault;
  savePending(pending: Pending): void;
  removePending(): void;
  /** For the owner's tools: `audit verify --ca`. */
  saveRoot(pem: string): void;
  /** `sha256:` of the fencing's file; null when there is none. */
  fencing(): string | null;
  saveFenced(text: string): void;
  removeFenced(): void;
};

/** Opens the folder, or makes it. `uid`: the user the agent runs as. Refuses with exit 4. */
export function openStore(host: Host, state: string, uid: number): Store | EnrolmentFault {
  const { disk } = host;
  const folder = `${state}/identity`;
  for (const path of [state, folder]) {
    // A stop after the first leaves an empty folder, which the next start takes.
    if (!disk.exists(path)) disk.makeDirectory(path, 0o700);
    const fault = modeFault(path, disk.stat(path), "directory", uid);
    if (fault !== null) return fault;
  }
  const write = (name: string, text: string) => disk.replace(`${folder}/${name}`, Buffer.from(text), 0o600);
  return {
    ...readStore(disk, state, uid),
    save: (stored) => write(NAMES.agent, `${JSON.stringify(stored)}\n`),
    savePending: (pending) => write(NAMES.pending, `${JSON.stringify(pending)}\n`),
    removePending: () => removeIfThere(disk, `${folder}/${NAMES.pending}`),
    saveRoot: (pem) => write(NAMES.root, pem),
    removeFenced: () => removeIfThere(disk, `${folder}/${NAMES.fenced}`),
    saveFenced: (text) => write(NAMES.fenced, text),
  };
}

/** The same store for reading only: it makes and changes nothing. */
export function readStore(disk: Disk, state: string, uid: number): Pick<Store, "load" | "loadPending" | "fencing"> {
  const folder = `${state}/identity`;
  return {
    load: () => readJson(disk, `${folder}/${NAMES.agent}`, Stored, uid),
    loadPending: () => readJson(disk, `${folder}/${NAMES.pending}`, Pending, uid),
    fencing() {
      const path = `${folder}/${NAMES.fenced}`;
      if (!disk.exists(path)) return null;
      return fencingDigest(disk.read(path, MAX_FILE_BYTES).bytes);
    },
  };
}

/** What an end of this fencing is approved by. */
export function fencingDigest(file: string | Uint8Array): string {
  return `sha256:${createHash("sha256").update(file).digest("hex")}`;
}

function modeFault(path: string, stat: Stat, kind: Stat["kind"], uid: number): EnrolmentFault | null {
  const wanted = kind === "directory" ? "0700" : "0600";
  if (stat.kind !== kind) {
    return enrolmentFault(
      "permission",
      `Cannot use ${path}: it is not a ${kind}.`,
      `Move it away, and look who made it.`,
    );
  }
  if (stat.uid !== uid) {
    return enrolmentFault(
      "permission",
      `Cannot use ${path}: it belongs to user ${stat.uid}, the agent runs as ${uid}.`,
      `Look who changed it, then: chown ${uid} ${path}`,
    );
  }
  if ((stat.mode & 0o077) !== 0) {
    return enrolmentFault(
      "permission",
      `Cannot use ${path}: its mode ${(stat.mode & 0o7777).toString(8).padStart(4, "0")} lets others in.`,
      `Look who changed it, then: chmod ${wanted} ${path}`,
    );
  }
  if (kind === "file" && stat.links !== 1) {
    return enrolmentFault("permission", `Cannot use ${path}: it has a second name (a hard link).`, "Remove the other.");
  }
  return null;
}

/** Null when there is no such file. */
function readJson<T>(disk: Disk, path: string, schema: z.ZodType<T>, uid: number): T | null | EnrolmentFault {
  if (!disk.exists(path)) return null;
  const { bytes, stat } = disk.read(path, MAX_FILE_BYTES);
  const fault = modeFault(path, stat, "file", uid);
  if (fault !== null) return fault;
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch {
    value = undefined;
  }
  const parsed = schema.safeParse(value);
  return parsed.success ? parsed.data : damaged(path);
}

export function damaged(path: string): EnrolmentFault {
  return enrolmentFault(
    "damaged",
    `Cannot use ${path}: it is not what the agent wrote.`,
    "Bring it back from where it went, or `reeve leave` and enrol with a new join token.",
  );
}

/** What the disk said, as a fault; anything else is our own mistake and is thrown on. */
export function diskFault(error: unknown): EnrolmentFault {
  if (!(error instanceof DiskError)) throw error;
  const permission = ["EACCES", "EPERM", "ELOOP", "EROFS"].includes(error.code);
  return enrolmentFault(
    permission ? "permission" : "disk",
    `Cannot use ${error.path}: the disk answers ${error.code}.`,
    permission ? `Check owner and mode: ls -ld ${error.path}` : "Make room, or look at the disk; nothing was lost.",
  );
}

export function removeIfThere(disk: Disk, path: string): void {
  if (disk.exists(path)) disk.remove(path);
}
