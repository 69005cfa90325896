import { expect, test } from "bun:test";
import { AWS_OPERATIONS } from "../../policy/permissions/operations.ts";
import {
  CERTIFICATE_OPERATIONS,
  DNS_OPERATIONS,
  IDENTITY_OPERATIONS,
  SCALE_OPERATIONS,
} from "../../providers/aws/operations.ts";

test("the call gate and the rendered permissions are of one table: row by row the same operations, kinds and methods", () => {
  const rows = (table: readonly { operation: string; kind: string; method: string }[]) =>
    table.map(({ operation, kind, method }) => `${operation} ${kind} ${method}`);
  const gate = {
    scale: SCALE_OPERATIONS,
    "issue-certificate": CERTIFICATE_OPERATIONS,
    "update-dns": DNS_OPERATIONS,
    identity: IDENTITY_OPERATIONS,
  };
  for (const name of ["scale", "issue-certificate", "update-dns", "identity"] as const) {
    expect(rows(gate[name]).length).toBeGreaterThan(0);
    expect([name, rows(AWS_OPERATIONS[name])]).toEqual([name, rows(gate[name])]);
  }
});
