import type { OpenWay } from "../../audit/report.ts";

/** Known ways by which permissions become more than they are: by taking another's identity, or by changing who may do what. */
type Way = Omit<OpenWay, "needs"> & {
  /** The permissions: all of them. One that begins with `*.` is any service's. */
  readonly needs: readonly string[];
};

const DOCS = "https://cloud.google.com/iam/docs/best-practices-service-accounts";
const RHINO = "https://github.com/RhinoSecurityLabs/GCP-IAM-Privilege-Escalation";

export const WAYS: readonly Way[] = [
  { id: "set-policy", needs: ["*.setIamPolicy"], does: "decides who may do what with the resource", source: DOCS },
  {
    id: "token",
    needs: ["iam.serviceAccounts.getAccessToken"],
    does: "takes a token of another service account",
    source: DOCS,
  },
  {
    id: "id-token",
    needs: ["iam.serviceAccounts.getOpenIdToken"],
    does: "takes an identity token of another service account",
    source: DOCS,
  },
  { id: "sign-blob", needs: ["iam.serviceAccounts.signBlob"], does: "signs as another service account", source: DOCS },
  { id: "sign-jwt", needs: ["iam.serviceAccounts.signJwt"], does: "signs as another service account", source: DOCS },
  {
    id: "delegation",
    needs: ["iam.serviceAccounts.implicitDelegation"],
    does: "takes a token through another service account",
    source: RHINO,
  },
  { id: "key", needs: ["iam.serviceAccountKeys.create"], does: "makes a key of another service account", source: DOCS },
  { id: "role", needs: ["iam.roles.update"], does: "changes what a role permits", source: RHINO },
  {
    id: "act-as",
    needs: ["iam.serviceAccounts.actAs"],
    does: "runs what it likes as another service account",
    source: DOCS,
  },
  {
    id: "common-metadata",
    needs: ["compute.projects.setCommonInstanceMetadata"],
    does: "puts a login key on every machine",
    source: RHINO,
  },
  {
    id: "instance-metadata",
    needs: ["compute.instances.setMetadata"],
    does: "puts a login key or a start script on a machine",
    source: RHINO,
  },
  { id: "os-login", needs: ["compute.instances.osAdminLogin"], does: "becomes root on a machine", source: DOCS },
  {
    id: "build",
    needs: ["cloudbuild.builds.create"],
    does: "runs what it likes as the build's service account",
    source: RHINO,
  },
  {
    id: "deployment",
    needs: ["deploymentmanager.deployments.create"],
    does: "acts as the project's editor",
    source: RHINO,
  },
  { id: "org-policy", needs: ["orgpolicy.policy.set"], does: "lifts what the organisation forbids", source: RHINO },
];

function covers(pattern: string, permission: string): boolean {
  return pattern.startsWith("*.") ? permission.endsWith(pattern.slice(1)) : permission === pattern;
}

/** Ways that these permissions open. */
export function waysOf(permissions: readonly string[]): readonly Way[] {
  return WAYS.filter(({ needs }) => needs.every((need) => permissions.some((one) => covers(need, one))));
}

/** Whether it is a part of one of these. */
export function opens(permission: string, ways: readonly Way[]): readonly string[] {
  return ways.filter(({ needs }) => needs.some((need) => covers(need, permission))).map(({ id }) => id);
}
