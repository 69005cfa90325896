import { expect, test } from "bun:test";
import { AWS_OPERATIONS } from "../../policy/permissions/aws/operations.ts";
import {
  CERTIFICATE_OPERATIONS,
  DNS_OPERATIONS,
  IDENTITY_OPERATIONS,
  SCALE_OPERATIONS,
} from "../../providers/aws/operations.ts";

test("the call gate and the rendered permissions are of one table", () => {
  const gate = {
    scale: SCALE_OPERATIONS,
    "issue-certificate": CERTIFICATE_OPERATIONS,
    "update-dns": DNS_OPERATIONS,
    identity: IDENTITY_OPERATIONS,
  };
  for (const name of ["scale", "issue-certificate", "update-dns", "identity"] as const) {
    expect(gate[name].length).toBeGreaterThan(0);
    expect(gate[name]).toBe(AWS_OPERATIONS[name]);
  }
});
