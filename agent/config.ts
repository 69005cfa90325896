import { z } from "zod";
import type { Policy } from "../policy/policy.ts";
import { strictYaml } from "../policy/yaml.ts";
import { placeName, placeOf } from "./host/socket.ts";
import { LOG_KEPT_MIN_MS } from "./limits.ts";
import { Base64Url32, ClusterName, ResourceName, Sha256Hex } from "./wire/names.ts";

/** Whole hours or days. */
const LogTime = z.string().regex(/^[1-9]\d{0,5}[hd]$/, "hours or days, such as 400d");
const AbsolutePath = z.string().regex(/^\/[^\0]*$/, "an absolute path");
/** The metadata service of the machine's own host, link-local and plain by its nature. */
const METADATA = "http://169.254.169.254";
const Address = z.string().regex(/^(?:\[[0-9a-f:]+\]|[a-zA-Z0-9.-]+):\d{1,5}$/, "HOST:PORT");

const Group = z.strictObject({
  /** Program and arguments of one machine of the group; `{n}` in an argument becomes its number, from 0. */
  command: z.array(z.string().min(1)).min(1).max(64),
  /** uid:gid the processes run under; without it, the agent's own. */
  user: z
    .string()
    .regex(/^\d+:\d+$/)
    .optional(),
  health: z
    .discriminatedUnion("probe", [
      z.strictObject({ probe: z.literal("none") }),
      z.strictObject({
        probe: z.literal("tcp"),
        host: z.string(),
        port: z.number().int().min(1).max(65535),
        plus_n: z.boolean(),
      }),
      z.strictObject({ probe: z.literal("http"), url: z.string(), plus_n: z.boolean() }),
    ])
    .default({ probe: "none" }),
  stop_seconds: z.number().int().min(1).max(120).default(10),
});
const Authority = z.strictObject({ directory: AbsolutePath });
const Zone = z.union([
  z.strictObject({
    server: Address,
    /** A file with the TSIG secret in base64, 0600. */
    tsig: z.strictObject({
      name: z.string(),
      algorithm: z.enum(["hmac-sha256", "hmac-sha512"]),
      secret_file: AbsolutePath,
    }),
  }),
  z.strictObject({ file: AbsolutePath }),
]);
export const LocalConfig = z.strictObject({
  groups: z.record(ResourceName, Group).default({}),
  authorities: z.record(ResourceName, Authority).default({}),
  zones: z.record(ResourceName, Zone).default({}),
});
export type LocalConfig = z.infer<typeof LocalConfig>;

/** HOST:PORT in the one spelling that is compared with an endpoint's. */
const isEndpoint = (text: string): boolean => {
  const place = placeOf(`https://${text}`);
  return place !== null && text === placeName(place);
};
const ProxyUrl = z
  .string()
  .refine(
    (text) => text.startsWith("http://") && isEndpoint(text.slice("http://".length)),
    "http://HOST:PORT in lower case, without credentials",
  );
const Egress = z.strictObject({
  /** A proxy for HTTP CONNECT. Only what stands here is used, never a variable. */
  proxy: z
    .union(
      [
        z.literal("none"),
        ProxyUrl,
        /** The file holds USER:PASSWORD (RFC 7617), 0600, the agent's own or root's. It is read for each connection. */
        z.strictObject({ url: ProxyUrl, credentials_file: AbsolutePath }),
      ],
      { error: "none, http://HOST:PORT in lower case, or { url: http://HOST:PORT, credentials_file: /PATH }" },
    )
    .default("none"),
  /** Which endpoints go directly although there is a proxy. */
  endpoints: z
    .record(z.string(), z.literal("direct", { error: "only direct can be said of an endpoint" }))
    .refine((endpoints) => Object.keys(endpoints).every(isEndpoint), "endpoints are HOST:PORT, in lower case")
    .default({}),
});

/** An origin exactly as a URL parser writes it, so that one place has one spelling. Plain http only to this machine itself. */
function origin(plain: RegExp) {
  return z.string().refine((text) => {
    if (!URL.canParse(text)) return false;
    const url = new URL(text);
    return url.origin === text && (url.protocol === "https:" || plain.test(text));
  }, "https://HOST or https://HOST:PORT, in lower case, without a path (plain http only to 127.0.0.1)");
}
const LOOPBACK = /^http:\/\/127\.0\.0\.1(?::\d{1,5})?$/;
const Endpoint = origin(LOOPBACK).optional();

const PARTITION_OF_REGION = { "us-gov": "aws-us-gov", cn: "aws-cn" } as const;

function partitionOf(region: string): string {
  const found = Object.entries(PARTITION_OF_REGION).find(([start]) => region.startsWith(`${start}-`));
  return found?.[1] ?? "aws";
}

export const AwsConfig = z
  .strictObject({
    account: z.string().regex(/^\d{12}$/, 'an account of 12 digits, in quotes: "111122223333"'),
    /** The role's name without its path: what runs under it says the name alone. */
    role: z.string().regex(/^[\w+=,.@-]{1,64}$/, "the role's name, without its path and not its ARN"),
    region: z.string().regex(/^(?!us-iso)[a-z]{2}(?:-[a-z]+)+-\d$/, "a region such as eu-west-1"),
    partition: z.enum(["aws", "aws-us-gov", "aws-cn"]),
    /** Private endpoints; what is left out is AWS's own public one of the region. */
    endpoints: z
      .strictObject({
        autoscaling: Endpoint,
        "acm-pca": Endpoint,
        route53: Endpoint,
        sts: Endpoint,
        metadata: z
          .string()
          .refine((text) => text === METADATA || LOOPBACK.test(text), `${METADATA} or http://127.0.0.1:PORT`)
          .default(METADATA),
      })
      .prefault({}),
  })
  .superRefine((aws, context) => {
    const of = partitionOf(aws.region);
    if (of === aws.partition) return;
    context.addIssue({ code: "custom", path: ["partition"], message: `${aws.region} is in the partition ${of}` });
  });
export type AwsConfig = z.infer<typeof AwsConfig>;

/** /etc/reeve/reeve.yaml: as strict as the policy. docs/OPERATIONS.md names every field. */
export const Config = z
  .strictObject({
    version: z.literal(1),
    cluster: ClusterName,
    control_plane: z.strictObject({
      enrol: z
        .string()
        .regex(/^https:\/\/[a-zA-Z0-9.[\]:-]+:\d{1,5}$/, "https://HOST:PORT")
        .refine((url) => placeOf(url) !== null, "https://HOST:PORT"),
      trust_sha256: Base64Url32,
      root_sha256: Sha256Hex.optional(),
    }),
    state: AbsolutePath.default("/var/lib/reeve"),
    runtime: AbsolutePath.default("/run/reeve"),
    /** `uid`: who must own the folder and what lies in it. */
    owner: z
      .strictObject({ directory: AbsolutePath, uid: z.number().int().min(0).default(0) })
      .default({ directory: "/etc/reeve/owner", uid: 0 }),
    csr: AbsolutePath.optional(),
    token: z.union([
      z.strictObject({ credential: z.string().regex(/^[A-Za-z0-9._-]+$/) }),
      z.strictObject({ file: AbsolutePath }),
    ]),
    provider: z.enum(["local", "aws"]),
    local: LocalConfig.default({ groups: {}, authorities: {}, zones: {} }),
    aws: AwsConfig.optional(),
    key_rotation: z.enum(["approve", "automatic"]).default("approve"),
    egress: Egress.default({ proxy: "none", endpoints: {} }),
    witnesses: z.array(z.never()).max(0).default([]),
    artifacts: z.literal("none").default("none"),
    log: z
      .strictObject({
        /** Rates look back a week: what they count is not given up before that. */
        retention: LogTime.refine(
          (text) => milliseconds(text) >= LOG_KEPT_MIN_MS,
          "at least 8d: rates look back a week",
        ),
        segment: z.string().regex(/^[1-9]\d{0,5}(?:KiB|MiB)$/, "a size such as 16MiB"),
        segment_age: LogTime.default("7d"),
      })
      .default({ retention: "400d", segment: "16MiB", segment_age: "7d" }),
  })
  .superRefine((config, context) => {
    const issue = (field: string, message: string): void =>
      context.addIssue({ code: "custom", path: [field], message });
    if (config.provider === "aws" && config.aws === undefined) issue("provider", "aws needs the field aws");
    if (config.provider !== "aws" && config.aws !== undefined) issue("aws", "the provider is another one");
  });
export type Config = z.infer<typeof Config>;

export type ConfigFault = { readonly line: number; readonly column: number; readonly message: string };

/** Parses the config's text, in the same strict YAML as a policy. Never throws on bad input. */
export function parseConfig(text: string): { config: Config } | { faults: readonly ConfigFault[] } {
  const yaml = strictYaml(text);
  if (yaml.faults.length > 0)
    return { faults: yaml.faults.map((fault) => ({ ...yaml.positionOf(fault.offset), message: fault.message })) };
  const parsed = Config.safeParse(yaml.value);
  if (parsed.success) return { config: parsed.data };
  return {
    faults: parsed.error.issues.map((issue) => {
      const unknown = issue.code === "unrecognized_keys" ? issue.keys[0] : undefined;
      const place = unknown === undefined ? yaml.place(issue.path) : yaml.keyPlace(issue.path, unknown);
      return { ...place, message: `${issue.path.join(".") || "the file"}: ${issue.message}` };
    }),
  };
}

/** Milliseconds of `24h` or `400d`. */
export function milliseconds(text: string): number {
  return Number(text.slice(0, -1)) * (text.endsWith("d") ? 24 : 1) * 3600 * 1000;
}

/** Size in bytes of `16MiB`. */
export function segmentBytes(config: Config): number {
  const match = /^(\d+)(KiB|MiB)$/.exec(config.log.segment);
  if (match === null) throw new Error("segment was not checked");
  return Number(match[1]) * (match[2] === "KiB" ? 1024 : 1024 * 1024);
}

/** Where the agent works, in the form of a policy's `place`. */
export function worksIn({ provider, aws }: Pick<Config, "provider" | "aws">): Policy["place"] {
  if (provider === "local") return { cloud: "local" };
  if (aws === undefined) throw new Error("the config was not checked");
  return { cloud: "aws", account: aws.account, region: aws.region };
}
