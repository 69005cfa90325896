import { GetCallerIdentityCommand } from "@aws-sdk/client-sts";
import { makeGate } from "../gate.ts";
import { CallFailed } from "../provider.ts";
import { type AwsContext, awsCalls } from "./call.ts";
import type { Credentials } from "./clients.ts";
import { placesOf } from "./endpoints.ts";
import { identityFault } from "./identity.ts";
import { IDENTITY_OPERATIONS } from "./operations.ts";

/**
 * Asks AWS whose credentials these are, through a gate that lets nothing else out, and holds the answer to the config's account, role and
 * partition. Throws CallFailed: `identity-…` when they are another's, else what kept the question from being answered.
 */
export async function prove(
  context: Omit<AwsContext, "credentials">,
  credentials: Credentials,
  command: string,
): Promise<void> {
  const { aws, host } = context;
  const gate = makeGate({
    table: IDENTITY_OPERATIONS,
    places: placesOf(aws, "sts", ["POST"]),
    resource: aws.account,
    phase: "read",
    beforeChange: () => undefined,
    now: () => host.clock.monotonic(),
    record: () => undefined,
  });
  const given = { current: async () => credentials, forget: () => undefined };
  const errand = { id: command, signal: new AbortController().signal };
  const calls = awsCalls({ ...context, credentials: given }, gate, errand, aws.account);
  const caller = await calls.send("sts", (client) => client.send(new GetCallerIdentityCommand({})));
  const fault = identityFault(aws, caller);
  if (fault !== null) throw new CallFailed(fault.status, fault.words, "none");
}
