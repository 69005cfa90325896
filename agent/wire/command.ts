import { z } from "zod";
import { CommandId, Count, Digest, DnsName, ResourceName, Seconds, Sha256Hex, TrustDomain, Words } from "./names.ts";

const Base64 = z
  .string()
  .max(16 * 1024)
  .regex(/^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/);

const Scale = z.strictObject({ group: ResourceName, count: Count });
const IssueCertificate = z
  .strictObject({
    authority: ResourceName,
    csr_sha256: Sha256Hex.optional(),
    csr: Base64.min(1).optional(),
    usages: z
      .array(z.enum(["server", "client"]))
      .min(1)
      .max(2),
    validity: Seconds.min(1).max(400 * 24 * 3600),
  })
  .refine((args) => (args.csr === undefined) !== (args.csr_sha256 === undefined), "exactly one of csr and csr_sha256")
  .refine((args) => new Set(args.usages).size === args.usages.length, "a usage stands twice");
const UpdateDns = z
  .strictObject({
    zone: ResourceName,
    name: DnsName,
    type: z.enum(["A", "AAAA", "CNAME", "TXT"]),
    change: z.enum(["create", "replace", "delete"]),
    values: z
      .array(
        z
          .string()
          .min(1)
          .max(255)
          .regex(/^[ -~]+$/),
      )
      .max(32),
    ttl: Seconds.max(7 * 24 * 3600),
  })
  .refine(
    (args) => (args.change === "delete") === (args.values.length === 0),
    "values are empty for delete, and only then",
  )
  .refine((args) => new Set(args.values).size === args.values.length, "a value stands twice");

const Deploy = z.strictObject({ group: ResourceName, manifest: Digest });

const claims = {
  iss: TrustDomain,
  /** The agent's SPIFFE ID, exactly. */
  aud: z.string().min(1).max(512),
  jti: CommandId,
  iat: Seconds,
  exp: Seconds,
  epoch: z.number().int().min(1).max(1_000_000_000),
  by: Words,
  why: Words,
  dry_run: z.boolean(),
};

/** The payload of a command: DESIGN section 3, parse. All claims are required, no other is known. */
export const CommandClaims = z.discriminatedUnion("action", [
  z.strictObject({ ...claims, action: z.literal("scale"), args: Scale }),
  z.strictObject({ ...claims, action: z.literal("issue-certificate"), args: IssueCertificate }),
  z.strictObject({ ...claims, action: z.literal("update-dns"), args: UpdateDns }),
  z.strictObject({ ...claims, action: z.literal("deploy"), args: Deploy }),
]);
export type CommandClaims = z.infer<typeof CommandClaims>;

/** What a command asks for, apart from who asks and for how long. */
export const CommandAsks = z.discriminatedUnion("action", [
  z.strictObject({ action: z.literal("scale"), args: Scale }),
  z.strictObject({ action: z.literal("issue-certificate"), args: IssueCertificate }),
  z.strictObject({ action: z.literal("update-dns"), args: UpdateDns }),
  z.strictObject({ action: z.literal("deploy"), args: Deploy }),
]);
