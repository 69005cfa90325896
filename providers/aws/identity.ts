import type { AwsConfig } from "../../agent/providerConfig/aws.ts";

/** Whose credentials these are: `arn:PARTITION:sts::ACCOUNT:assumed-role/ROLE/SESSION`, where ROLE has no path. */
const ASSUMED = /^arn:([a-z-]{1,32}):sts::(\d{12}):assumed-role\/([\w+=,.@-]{1,64})\/[\w+=,.@-]{1,64}$/;

export type IdentityFault = {
  readonly status: "identity-unclear" | "identity-partition" | "identity-account" | "identity-role";
  readonly words: string;
};

/** What GetCallerIdentity answered, held to the config; null when it is the one that the config names. */
export function identityFault(
  aws: Pick<AwsConfig, "account" | "role" | "partition">,
  caller: { readonly Account?: string | undefined; readonly Arn?: string | undefined },
): IdentityFault | null {
  const [, partition, account, role] = ASSUMED.exec(caller.Arn ?? "") ?? [];
  if (account === undefined || caller.Account !== account)
    return { status: "identity-unclear", words: "the credentials are not an assumed role's: the config names a role" };
  const other = (what: string, found: string | undefined, wanted: string): string =>
    `the credentials are of the ${what} ${found}, the config names ${wanted}`;
  if (partition !== aws.partition)
    return { status: "identity-partition", words: other("partition", partition, aws.partition) };
  if (account !== aws.account) return { status: "identity-account", words: other("account", account, aws.account) };
  if (role !== aws.role) return { status: "identity-role", words: other("role", role, aws.role) };
  return null;
}
