import { z } from "zod";
import { type Policy, Time } from "../policy/policy.ts";
import { strictYaml } from "../policy/yaml.ts";
import { placeName, placeOf } from "./host/socket.ts";
import { LOG_KEPT_MIN_MS } from "./limits.ts";
import { AcmeConfig } from "./providerConfig/acme.ts";
import { ArtifactsConfig } from "./providerConfig/artifacts.ts";
import { aws } from "./providerConfig/aws.ts";
import { azure } from "./providerConfig/azure.ts";
import { AbsolutePath } from "./providerConfig/fields.ts";
import { gcp } from "./providerConfig/gcp.ts";
import { local } from "./providerConfig/local.ts";
import { OwnerConfig, providerOfOwner } from "./providerConfig/owner.ts";
import { Base64Url32, ClusterName, Sha256Hex } from "./wire/names.ts";
import { WitnessesConfig } from "./witness/config.ts";

/** Whole hours or days. */
const LogTime = z.string().regex(/^[1-9]\d{0,5}[hd]$/, "hours or days, such as 400d");

/** Every provider that the config may name, with its own field: a line each. */
const PROVIDERS = { local, aws, gcp, azure } as const;

type Name = keyof typeof PROVIDERS;
type Fields = { readonly [N in Name]: (typeof PROVIDERS)[N]["field"] };
const NAMES = Object.keys(PROVIDERS) as [Name, ...Name[]];
const FIELDS = Object.fromEntries(NAMES.map((name) => [name, PROVIDERS[name].field])) as unknown as Fields;

/** A segment is read as a whole when it is added to the owner's bucket. */
const MAX_SEGMENT_SETTING_BYTES = 64 * 1024 * 1024;

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

const SIZE = /^[1-9]\d{0,5}(?:KiB|MiB)$/;

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
    owner: OwnerConfig.default({ directory: "/etc/reeve/owner", uid: 0 }),
    /** Who joins before this is the cluster's first machine (since.ts). */
    first_until: Time.optional(),
    csr: AbsolutePath.optional(),
    token: z.union([
      z.strictObject({ credential: z.string().regex(/^[A-Za-z0-9._-]+$/) }),
      z.strictObject({ file: AbsolutePath }),
    ]),
    provider: z.enum(NAMES),
    ...FIELDS,
    /** Certificate authorities beside the provider's own, by the name that rules call them. */
    acme: AcmeConfig,
    key_rotation: z.enum(["approve", "automatic"]).default("approve"),
    egress: Egress.default({ proxy: "none", endpoints: {} }),
    witnesses: WitnessesConfig.default([]),
    artifacts: ArtifactsConfig.default("none"),
    log: z
      .strictObject({
        /** Rates look back a week: what they count is not given up before that. */
        retention: LogTime.refine(
          (text) => milliseconds(text) >= LOG_KEPT_MIN_MS,
          "at least 8d: rates look back a week",
        ),
        segment: z
          .string()
          .regex(SIZE, "a size such as 16MiB")
          .refine((text) => !SIZE.test(text) || bytesOf(text) <= MAX_SEGMENT_SETTING_BYTES, "at most 64MiB"),
        segment_age: LogTime.default("7d"),
      })
      .default({ retention: "400d", segment: "16MiB", segment_age: "7d" }),
  })
  .superRefine((config, context) => {
    const issue = (field: string, message: string): void =>
      context.addIssue({ code: "custom", path: [field], message });
    for (const name of NAMES) {
      const given = config[name] !== undefined;
      if (config.provider === name && !given) issue("provider", `${name} needs the field ${name}`);
      if (config.provider !== name && given && canBeAbsent(name)) issue(name, "the provider is another one");
    }
    if (config.first_until !== undefined && "bucket" in config.owner)
      issue("first_until", "log/head in the bucket says who was before: leave it out");
    const needs = providerOfOwner(config.owner);
    if (needs !== null && needs !== config.provider) issue("owner", `this bucket needs the provider ${needs}`);
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
  return bytesOf(config.log.segment);
}

function bytesOf(size: string): number {
  const match = /^(\d+)(KiB|MiB)$/.exec(size);
  if (match === null) throw new Error("segment was not checked");
  return Number(match[1]) * (match[2] === "KiB" ? 1024 : 1024 * 1024);
}

/** Where the agent works, in the form of a policy's `place`. */
export function worksIn(config: Pick<Config, "provider" | Name>): Policy["place"] {
  const own = config[config.provider];
  if (own === undefined) throw new Error("the config was not checked");
  const { place } = PROVIDERS[config.provider] as { place(own: unknown): Policy["place"] };
  return place(own);
}

/** A field that stands there without being written says nothing. */
function canBeAbsent(name: Name): boolean {
  return PROVIDERS[name].field.parse(undefined) === undefined;
}
