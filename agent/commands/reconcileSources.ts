import { AWS_OPERATIONS, SIMULATE } from "../../policy/permissions/aws/operations.ts";
import { AZURE_OPERATIONS } from "../../policy/permissions/azure/operations.ts";
import type { Operations } from "../../policy/permissions/cloud.ts";
import { GCP_OPERATIONS } from "../../policy/permissions/gcp/operations.ts";
import { auditLogs } from "../audit/reconcile/auditLogs.ts";
import { azureTrail } from "../audit/reconcile/azure.ts";
import type { Trail } from "../audit/reconcile/call.ts";
import { cloudtrail, type Role, roleOfArn } from "../audit/reconcile/cloudtrail.ts";
import type { Tables } from "../audit/reconcile/ledger.ts";
import type { Config } from "../config.ts";
import { Complaint } from "./config.ts";

/** Which cloud's log is looked at, and whose calls in it. */
export type Asked = {
  readonly cloudtrail?: string;
  readonly azure?: string;
  readonly gcp?: string;
  readonly role?: string;
  readonly account?: string;
  readonly principal?: string;
  readonly subscription?: string;
  readonly resourceGroup?: string;
  readonly serviceAccount?: string;
  readonly project?: string;
};
/** One cloud's own log: its folder, how it is read, and what is said of it. */
export type Source = {
  /** What the log is called. */
  readonly title: string;
  readonly directory: string;
  /** Whose calls, in words. */
  readonly who: string;
  /** For `--json`, beside everything else. */
  readonly json: Readonly<Record<string, unknown>>;
  readonly trail: Trail;
  readonly tables: Tables;
  /** How its files come into the folder. */
  readonly copy: string;
  /** Who says whether they are whole. */
  readonly whole: string;
};

const USAGE = 2;
/** What cannot be done, while the cloud's log is not named yet, and once it is. */
export const CANNOT = "reconcile the log with the cloud's";
export const cannotWith = (title: string): string => `reconcile the log with ${title}`;

function usage(because: string, hint: string): Complaint {
  return new Complaint(CANNOT, because, hint, USAGE);
}

function tablesOf({ identity, ...actions }: Operations, doctor: Tables["doctor"] = []): Tables {
  return { actions, checks: identity, doctor };
}

export function sourceOf(asked: Asked, config: Config | null): Source {
  const given = [asked.cloudtrail, asked.azure, asked.gcp].filter((directory) => directory !== undefined);
  if (given.length !== 1)
    throw usage("not one cloud's log is named", "Name one folder: --cloudtrail DIR, --azure DIR or --gcp DIR.");
  if (asked.azure !== undefined) return azureSource(asked, config, asked.azure);
  return asked.cloudtrail === undefined
    ? gcpSource(asked, config, given[0] ?? "")
    : awsSource(asked, config, asked.cloudtrail);
}

function awsSource(asked: Asked, config: Config | null, directory: string): Source {
  const role = roleOf(asked, config);
  return {
    ...{ title: "CloudTrail", directory, who: `role ${role.name} of account ${role.account}`, json: { role } },
    trail: cloudtrail(role, config?.aws?.region ?? null),
    tables: tablesOf(AWS_OPERATIONS, [SIMULATE]),
    copy: "Copy them from the trail's bucket: aws s3 sync s3://BUCKET/AWSLogs/ DIR",
    whole: "whether CloudTrail's files are, `aws cloudtrail validate-logs`",
  };
}

/** As the flags say, else as the config does. */
function roleOf({ role, account }: Asked, config: Config | null): Role {
  const wrong = (because: string): Complaint =>
    usage(because, "--role arn:aws:iam::111122223333:role/reeve, or --account 111122223333 --role reeve");
  if (role === undefined) {
    if (account !== undefined) throw wrong("--account stands without --role");
    if (config?.aws === undefined) throw wrong("nothing says which role is the agent's");
    return { account: config.aws.account, name: config.aws.role };
  }
  if (account === undefined) {
    const named = roleOfArn(role);
    if (named === null) throw wrong(`${role} is not the ARN of a role`);
    return named;
  }
  if (!/^\d{12}$/.test(account)) throw wrong(`${account} is no account of 12 digits`);
  if (!/^[\w+=,.@-]{1,64}$/.test(role)) throw wrong(`${role} is no role's name`);
  return { account, name: role };
}

const UUID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

function azureSource(asked: Asked, config: Config | null, directory: string): Source {
  const own = config?.azure;
  const id = asked.principal ?? own?.principal;
  const subscription = asked.subscription ?? own?.subscription;
  const resourceGroup = asked.resourceGroup ?? own?.resource_group;
  if (id === undefined || subscription === undefined || resourceGroup === undefined)
    throw usage(
      "nothing says whose calls are the agent's, and where",
      "--principal OBJECT-ID --subscription ID --resource-group NAME, or a config with azure",
    );
  if (!UUID.test(id) || !UUID.test(subscription))
    throw usage("an object id and a subscription's are UUIDs in lower case", "Compare them with the config's azure.");
  const principal = { id, subscription, resourceGroup };
  return {
    ...{ title: "Azure", directory, who: `identity ${id} in ${resourceGroup} of ${subscription}`, json: { principal } },
    trail: azureTrail(principal),
    tables: tablesOf(AZURE_OPERATIONS),
    copy: "az monitor activity-log list --resource-group NAME --offset 30d -o json > DIR/activity.json; and Key Vault's insights-logs-auditevent",
    whole: "whether Azure's files are, nobody can: export them yourself",
  };
}

function gcpSource(asked: Asked, config: Config | null, directory: string): Source {
  const email = asked.serviceAccount ?? config?.gcp?.account;
  const project = asked.project ?? config?.gcp?.project;
  const hint = "--service-account NAME@PROJECT.iam.gserviceaccount.com --project PROJECT, or a config with gcp";
  if (email === undefined || project === undefined) throw usage("nothing says whose calls are the agent's", hint);
  if (!/^[^@\s]{1,64}@[^@\s]{1,128}$/.test(email)) throw usage(`${email} is no service account's email`, hint);
  const account = { email, project, region: config?.gcp?.region ?? null };
  return {
    ...{ title: "Cloud Audit Logs", directory, who: `${email} in project ${project}`, json: { account } },
    trail: auditLogs(account),
    tables: tablesOf(GCP_OPERATIONS, []),
    copy: "Copy them from the sink's bucket: gcloud storage cp -r gs://BUCKET/cloudaudit.googleapis.com DIR",
    whole: "whether Google's files are, the sink's bucket with a locked retention policy",
  };
}
