import { createHash, generateKeyPairSync, type KeyObject } from "node:crypto";
import type { EntryBody } from "../../agent/audit/entry.ts";
import { checkpointText, ed25519Public, signLogKeyBinding, signNote } from "../../agent/audit/note.ts";
import { emptyTree, grow, leafHash, rootOfTree } from "../../agent/audit/tree.ts";
import { canonical, type Json } from "../../agent/wire/canonical.ts";
import type { CommandClaims } from "../../agent/wire/command.ts";
import { logOrigin } from "../../agent/wire/names.ts";

export const NO_DIGEST = `sha256:${"0".repeat(64)}`;

type Of = { readonly cluster: string; readonly epoch: number; readonly id: string };
/** The log of an agent that a case plays: its lines, and heads over as many of them as the case wants. */
export type Book = {
  readonly lines: string[];
  /** Adds an entry; its index. */
  add(body: EntryBody): number;
  /** The signed head of so many lines, by default all; `other` changes what is signed. */
  head(size?: number, other?: { readonly root?: Buffer; readonly key?: KeyObject }): string;
};

function newKeyOfLog(): KeyObject {
  return generateKeyPairSync("ed25519").privateKey;
}

/** A log with its entry 0. `binder`: the key that vouches for the log's key, by default the certificate's. */
export function newBook(of: Of, chain: readonly string[], binder: KeyObject): Book {
  const origin = logOrigin(of.id, of.epoch);
  const key = newKeyOfLog();
  const text = ed25519Public(key).toString("base64");
  const lines: string[] = [];
  const book: Book = {
    lines,
    add(body) {
      const index = lines.length;
      const common = { v: 1, index, time: new Date().toISOString(), cluster: of.cluster, epoch: of.epoch };
      lines.push(canonical({ ...common, ...body } as unknown as Json));
      return index;
    },
    head(size = lines.length, other = {}) {
      const tree = emptyTree();
      for (const line of lines.slice(0, size)) grow(tree, leafHash(line));
      const root = other.root ?? rootOfTree(tree);
      return signNote(checkpointText({ origin, size, root, time: Date.now() }), origin, other.key ?? key);
    },
  };
  book.add({
    kind: "epoch",
    origin,
    log_keys: [{ key: text, from: 0 }],
    chain: [...chain],
    signature: signLogKeyBinding(origin, text, 0, binder),
    before: null,
    config: NO_DIGEST,
  });
  return book;
}

/** What entries about a command begin with. */
function asking(jws: string): { claims: CommandClaims; of: Record<string, unknown> } {
  const [header = "", payload = ""] = jws.split(".").map((part) => Buffer.from(part, "base64url").toString());
  const claims = JSON.parse(payload) as CommandClaims;
  const by = { key: (JSON.parse(header) as { kid: string }).kid, says: { operator: claims.by, why: claims.why } };
  const digest = `sha256:${createHash("sha256").update(jws).digest("hex")}`;
  const { action, args: asked, jti: command, exp } = claims;
  return { claims, of: { action, asked, by, command, digest, exp } };
}

/** An agent that refuses it: for no rule of the customer's permits it. */
export function refusal(jws: string): EntryBody {
  const nothing = { rule: null, field: null, found: null, limit: null, policy: null, first: null };
  const words = { because: "no rule permits it", hint: "Ask for something else." };
  return { ...asking(jws).of, kind: "refused", code: "match.no-rule", ...words, ...nothing } as unknown as EntryBody;
}

export function intent(jws: string): EntryBody {
  const allowed = { policy: NO_DIGEST, rule: "conform" };
  const rest = { allowed, found: {}, resource: "group:conform", signed: jws, csr: null };
  return { ...asking(jws).of, kind: "intent", ...rest } as unknown as EntryBody;
}

export function outcome(jws: string, at: number, result: "succeeded" | "failed"): EntryBody {
  const { claims } = asking(jws);
  return {
    kind: "outcome",
    result,
    code: null,
    known_by: "answer",
    changed: [],
    operations: [],
    certificate: null,
    details: null,
    command: claims.jti,
    intent: at,
  };
}

export function started(process: string): EntryBody {
  return { kind: "started", version: "conform", process, runtime: "conform" };
}
