import { z } from "zod";
import type { Clock } from "../../agent/host/host.ts";
import type { AzureConfig } from "../../agent/providerConfig/azure.ts";
import { CallFailed } from "../provider.ts";
import { claimsOf, identityFault } from "./identity.ts";
import { LAST_USE_MS, REFRESH_BEFORE_MS } from "./limits.ts";
import type { Metadata } from "./metadata.ts";
import { ownMachine } from "./own.ts";

/** `until`: milliseconds since 1970. */
export type Token = { readonly token: string; readonly until: number };

/** Tokens that hold now and were compared with the config. Throws CallFailed: never a call without. */
export type TokenSource = {
  current(audience: string): Promise<Token>;
  /** Azure does not take it any more. */
  forget(audience: string, token: Token): void;
};

/** "How to use managed identities … to acquire an access token"; fields that are not used are let be. */
const Given = z.object({
  access_token: z.string().regex(/^[\x21-\x7e]{1,16384}$/),
  expires_on: z.string().regex(/^\d{1,12}$/),
  token_type: z.literal("Bearer"),
});

type Deps = { readonly clock: Clock; readonly metadata: Metadata; readonly azure: AzureConfig };

/**
 * The managed identity's tokens from the metadata service, read anew before they end. Each new one, and the machine, is held to the config
 * before it is used; one that is not the config's ends the use of the one before.
 */
export function tokenSource(deps: Deps): TokenSource {
  const held = new Map<string, Token>();
  const refreshing = new Map<string, Promise<Token>>();
  const leftOf = ({ until }: Token): number => until - deps.clock.now();

  const refresh = async (audience: string): Promise<Token> => {
    const fresh = await read(deps, audience);
    if (leftOf(fresh) <= LAST_USE_MS)
      throw new CallFailed("credentials-expired", "the metadata service has no newer token", "none");
    // The same one again, which was compared when it first came.
    const before = held.get(audience);
    if (before?.token === fresh.token) return before;
    held.delete(audience);
    const fault = identityFault(deps.azure, claimsOf(fresh.token), audience, await ownMachine(deps.metadata));
    if (fault !== null) throw new CallFailed(fault.status, fault.words, "none");
    held.set(audience, fresh);
    return fresh;
  };

  return {
    async current(audience) {
      const before = held.get(audience);
      if (before !== undefined && leftOf(before) > REFRESH_BEFORE_MS) return before;
      const own = refreshing.get(audience) ?? refresh(audience).finally(() => refreshing.delete(audience));
      refreshing.set(audience, own);
      try {
        return await own;
      } catch (error) {
        // The metadata service is away for a while, and what is held still holds and was compared.
        const still = held.get(audience);
        if (still !== undefined && still === before && error instanceof CallFailed && leftOf(still) > LAST_USE_MS)
          return still;
        throw error;
      }
    },
    forget(audience, { token }) {
      if (held.get(audience)?.token === token) held.delete(audience);
    },
  };
}

async function read({ metadata, azure }: Deps, audience: string): Promise<Token> {
  const client = azure.identity === "system" ? {} : { client_id: azure.identity.client };
  let answer: unknown;
  try {
    answer = await metadata.read("identity/oauth2/token", {
      "api-version": "2018-02-01",
      resource: audience,
      ...client,
    });
  } catch (error) {
    if (error instanceof CallFailed && error.status === "metadata-refused")
      throw new CallFailed("no-identity", "the machine has no such managed identity", "none");
    throw error;
  }
  const given = Given.safeParse(answer);
  if (!given.success) throw new CallFailed("metadata-malformed", "what it gave as a token is none", "none");
  return { token: given.data.access_token, until: Number(given.data.expires_on) * 1000 };
}
