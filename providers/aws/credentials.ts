import { z } from "zod";
import type { Clock } from "../../agent/host/host.ts";
import { parseTime } from "../../policy/duration.ts";
import { CallFailed } from "../provider.ts";
import type { CredentialSource } from "./call.ts";
import type { Credentials } from "./clients.ts";
import { LAST_USE_MS, REFRESH_BEFORE_MS } from "./limits.ts";
import type { Metadata } from "./metadata.ts";

/** As the instance metadata service gives them; fields that are not used are let be. */
const Given = z.object({
  Code: z.literal("Success"),
  AccessKeyId: z.string().regex(/^[A-Z0-9]{16,128}$/),
  SecretAccessKey: z.string().regex(/^[\x21-\x7e]{1,256}$/),
  Token: z.string().regex(/^[\x21-\x7e]{1,8192}$/),
  Expiration: z.string(),
});

type Held = Credentials & { readonly until: number };

/**
 * The role's credentials from the metadata service, read anew before they end. `prove` asks AWS whose they are and throws when they are
 * not the config's: nothing is called with them before it returned, and a refresh that fails it ends the use of the ones before.
 */
export function credentialSource(deps: {
  readonly clock: Clock;
  readonly metadata: Metadata;
  readonly role: string;
  prove(credentials: Credentials, command: string): Promise<void>;
}): CredentialSource {
  let held: Held | null = null;
  let refreshing: Promise<Held> | null = null;
  const leftOf = ({ until }: Held): number => until - deps.clock.now();

  const refresh = async (command: string): Promise<Held> => {
    const fresh = await readRole(deps.metadata, deps.role);
    if (leftOf(fresh) <= LAST_USE_MS)
      throw new CallFailed("credentials-expired", "the metadata service has no newer ones", "none");
    // The same ones again, which were proved when they first came.
    if (held !== null && held.secretAccessKey === fresh.secretAccessKey) return held;
    held = null;
    await deps.prove(fresh, command);
    held = fresh;
    return fresh;
  };

  return {
    async current(command) {
      const before = held;
      if (before !== null && leftOf(before) > REFRESH_BEFORE_MS) return before;
      refreshing ??= refresh(command).finally(() => {
        refreshing = null;
      });
      try {
        return await refreshing;
      } catch (error) {
        // The metadata service is away for a while, and what is held still holds and was proved.
        if (held !== null && held === before && error instanceof CallFailed && leftOf(held) > LAST_USE_MS) return held;
        throw error;
      }
    },
    forget(credentials) {
      if (held?.secretAccessKey === credentials.secretAccessKey) held = null;
    },
  };
}

async function readRole(metadata: Metadata, role: string): Promise<Held> {
  const text = await metadata.read(`meta-data/iam/security-credentials/${role}`);
  if (text === null) throw new CallFailed("no-role", `the machine has no role ${role}`, "none");
  const given = Given.safeParse(jsonOf(text));
  if (!given.success) throw new CallFailed("metadata-malformed", "what it gave as credentials is none", "none");
  const { AccessKeyId, SecretAccessKey, Token, Expiration } = given.data;
  const until = parseTime(Expiration);
  if (until === null) throw new CallFailed("metadata-malformed", "its credentials do not say when they end", "none");
  return { accessKeyId: AccessKeyId, secretAccessKey: SecretAccessKey, sessionToken: Token, until };
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    if (error instanceof SyntaxError) return null;
    throw error;
  }
}
