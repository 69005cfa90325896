import { AWS_OPERATIONS, type AwsOperation, SIMULATE } from "../../policy/permissions/aws/operations.ts";

/** The AWS operations of each action, out of the one table that the permissions are rendered from, as the call gate takes them. */
export type { Service } from "../../policy/permissions/aws/operations.ts";

export const SCALE_OPERATIONS = AWS_OPERATIONS.scale;
export const CERTIFICATE_OPERATIONS = AWS_OPERATIONS["issue-certificate"];
export const DNS_OPERATIONS = AWS_OPERATIONS["update-dns"];
export const DEPLOY_OPERATIONS = AWS_OPERATIONS.deploy;
/** What of deploy's may be asked of all groups of the region, not of one. */
export const EVERY_GROUP_OPERATIONS = DEPLOY_OPERATIONS.filter(
  ({ operation }) => operation === "autoscaling:DescribeAutoScalingGroups",
);
/** Asked of no command's resource: whose credentials these are. It needs no permission. */
export const IDENTITY_OPERATIONS = AWS_OPERATIONS.identity;
/** `doctor`'s own. */
export const DOCTOR_OPERATIONS = [SIMULATE] as const;

const ALL: ReadonlyMap<string, AwsOperation> = new Map(
  [...Object.values(AWS_OPERATIONS), DOCTOR_OPERATIONS].flat().map((row) => [row.operation, row]),
);

export function awsOperation(name: string): AwsOperation | undefined {
  return ALL.get(name);
}
