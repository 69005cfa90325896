/** What `policy permissions --owner` renders for the owner's folder in a container: roles whose assignments are held to two prefixes. */
import { expect, test } from "bun:test";
import { join } from "node:path";
import { REEVE, ran } from "../e2e/world.ts";

const PATH = join(import.meta.dir, "policy.yaml");
const BUCKET = "azblob://owners/reeve/prod-eu-1";
const BLOBS = "Microsoft.Storage/storageAccounts/blobServices/containers/blobs";
const AT = `@Resource[${BLOBS}:path] StringLike`;

type Document = {
  readonly roleDefinitions: readonly { readonly Name: string; readonly DataActions: readonly string[] }[];
  readonly roleAssignments: readonly {
    readonly role: string;
    readonly scope: string;
    readonly condition?: string;
    readonly conditionVersion?: string;
  }[];
};

test("the owner's folder is read and the log added to, each by a role of its own under a condition on the blob's path", () => {
  const { code, stdout, stderr } = ran(REEVE, "policy", "permissions", PATH, "--owner", BUCKET);
  expect(code).toBe(0);
  const document = JSON.parse(stdout) as Document;
  const roles = document.roleDefinitions.filter(({ Name }) => Name.includes("-bucket-"));
  expect(roles.map(({ Name, DataActions }) => [Name.split("-bucket-")[1], DataActions])).toEqual([
    ["read", [`${BLOBS}/read`]],
    ["add", [`${BLOBS}/add/action`, `${BLOBS}/write`]],
  ]);
  const assigned = document.roleAssignments.filter(({ role }) => role.includes("-bucket-"));
  expect(assigned.map(({ condition }) => condition)).toEqual([
    `(${AT} 'prod-eu-1/owner/*' OR ${AT} 'prod-eu-1/log/*')`,
    `(${AT} 'prod-eu-1/log/*')`,
  ]);
  for (const { scope, conditionVersion } of assigned) {
    expect(scope).toEndWith(
      "/providers/Microsoft.Storage/storageAccounts/owners/blobServices/default/containers/reeve",
    );
    expect(conditionVersion).toBe("2.0");
  }
  // No other assignment has one, and without --owner nothing of storage is granted.
  expect(document.roleAssignments.filter(({ condition }) => condition !== undefined).length).toBe(2);
  expect(stderr).toContain("Assign none of the two without its condition");
  expect(ran(REEVE, "policy", "permissions", PATH).stdout).not.toContain("Microsoft.Storage");
});

test("Terraform says the same conditions", () => {
  const { code, stdout } = ran(REEVE, "policy", "permissions", PATH, "--owner", BUCKET, "--format", "terraform");
  expect(code).toBe(0);
  expect(stdout).toContain(`  condition          = "(${AT} 'prod-eu-1/log/*')"\n  condition_version  = "2.0"\n`);
  expect(stdout.match(/condition_version/g)?.length).toBe(2);
});

test("what is no container's prefix is refused", () => {
  for (const wrong of ["s3://b/p", "azblob://owners/reeve", "azblob://Owners/reeve/p", "azblob://owners/reeve/a/../b"])
    expect(ran(REEVE, "policy", "permissions", PATH, "--owner", wrong).code).toBe(2);
});
