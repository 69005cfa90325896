import { signText } from "../manifest/file.ts";
import { isTrusted, type SignedCommand, signCommand } from "../send.ts";
import type { Signer } from "../signer.ts";
import type { Statement } from "../statement.ts";
import { Complaint } from "../terminal.ts";
import { COMMAND_SECONDS } from "./limits.ts";
import { type Wish, whyOf } from "./look.ts";
import type { Signed } from "./put.ts";
import type { RolloutRow } from "./schema.ts";

/** The keys: whoever drives holds them, `serve` never does. */
export type Keys = {
  /** The command key for a cluster with these trust statements, of which its agent has accepted this version. Throws a Complaint. */
  command(statements: readonly Statement[], accepted: number): Signer;
  readonly release: Signer;
};

/** The code with which a cluster is put aside that can get nothing. */
export type Aside = {
  readonly aside:
    | "no-trust-statement"
    | "key-not-chosen"
    | "key-not-trusted"
    | "manifest-not-signable"
    | "command-not-signable";
};

/**
 * Signs what one cluster is to get. What cannot be signed for one is that cluster's matter and nobody else's. A first trust statement says whom a
 * cluster obeys: that is an operator's to sign, never a driver's. `name`: the release signer's, as the order says it.
 */
export async function signWish(
  keys: Keys,
  name: string,
  trustDomain: string,
  rollout: Pick<RolloutRow, "id" | "why" | "phase" | "said_by">,
  wish: Wish,
): Promise<Signed | Aside> {
  const { statements, accepted, fresh } = wish;
  if (statements.length === 0) return { aside: "no-trust-statement" };
  const signer = await orNull(() => keys.command(statements, accepted));
  if (signer === null) return { aside: "key-not-chosen" };
  if (!isTrusted(statements, signer)) return { aside: "key-not-trusted" };
  const note = fresh === null ? "" : await orNull(() => signText(fresh.target.text, name, keys.release));
  if (note === null) return { aside: "manifest-not-signable" };
  const commands = await orNull(() => signAll(rollout, wish, trustDomain, signer));
  if (commands === null) return { aside: "command-not-signable" };
  return { wish, note: fresh === null ? null : note, commands };
}

async function signAll(
  rollout: Pick<RolloutRow, "id" | "why" | "phase" | "said_by">,
  wish: Wish,
  trustDomain: string,
  signer: Signer,
): Promise<SignedCommand[]> {
  const commands: SignedCommand[] = [];
  for (const group of wish.groups) {
    const words = {
      asked: { action: "deploy" as const, args: { group, manifest: wish.digest } },
      by: rollout.said_by,
      why: whyOf(rollout),
      lifetime: COMMAND_SECONDS,
      dryRun: false,
    };
    commands.push(await signCommand(words, wish.cluster, trustDomain, wish.epoch, signer));
  }
  return commands;
}

/** Null for a Complaint: its cluster is put aside with a code instead. A mistake of our own is none. */
async function orNull<T>(work: () => T | Promise<T>): Promise<T | null> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof Complaint) return null;
    throw error;
  }
}
