import { GetCallerIdentityCommand } from "@aws-sdk/client-sts";
import { CallFailed } from "../provider.ts";
import type { AwsContext } from "./call.ts";
import type { Credentials } from "./clients.ts";
import { identityFault } from "./identity.ts";
import { IDENTITY_OPERATIONS } from "./operations.ts";
import { readingCalls } from "./readingCalls.ts";

/**
 * Asks AWS whose credentials these are, through a gate that lets nothing else out, and holds the answer to the config's account, role and
 * partition. Throws CallFailed: `identity-…` when they are another's, else what kept the question from being answered.
 */
export async function prove(
  context: Omit<AwsContext, "credentials">,
  credentials: Credentials,
  command: string,
): Promise<void> {
  const { aws } = context;
  const given = { current: async () => credentials, forget: () => undefined };
  const errand = { id: command, signal: new AbortController().signal };
  const what = { service: "sts", table: IDENTITY_OPERATIONS, resource: aws.account } as const;
  const calls = readingCalls({ ...context, credentials: given }, what, errand);
  const caller = await calls.send("sts", (client) => client.send(new GetCallerIdentityCommand({})));
  const fault = identityFault(aws, caller);
  if (fault !== null) throw new CallFailed(fault.status, fault.words, "none");
}
