import { z } from "zod";
import { parseCidr } from "./address.ts";
import { DURATION, durationSeconds, parseRate, parseTime, RATE } from "./duration.ts";
import { isNoteKey, isSshKey, noteKeyOf, readSshKey } from "./keys.ts";
import { MAX_COUNT, MAX_NEEDED_APPROVALS, MAX_TTL_SECONDS, MAX_VALIDITY_SECONDS } from "./limits.ts";
import { DNS_NAME, ID, RESOURCE, WORDS } from "./names.ts";
import { compareVersions, VERSION, VERSION_FORM } from "./version.ts";
import { parseWhen } from "./when.ts";

/** The policy's schema: DESIGN section 6, docs/POLICY.md. Every field is required; parse.ts gives the errors their places. */

const noTwice = (list: readonly string[]): boolean => new Set(list).size === list.length;
const TWICE = "nothing stands twice in a list";

const Id = z.string().regex(ID, "an id: a-z 0-9 and -, at most 64");
const Words = z.string().regex(WORDS, "words for people: 1 to 256 characters, no control characters");
const Resource = z.string().regex(RESOURCE, "a resource's exact name, printable and without wildcards");
const Dns = z.string().regex(DNS_NAME, "a DNS name in lower case, without trailing dot, wildcard or IDN");
const Count = z.number().int().min(0).max(MAX_COUNT);
const Sha256 = z.string().regex(/^sha256:[0-9a-f]{64}$/, "sha256: and 64 hex digits");
const Duration = z
  .string()
  .regex(DURATION, "a duration: an integer and s, m, h or d, such as 30d")
  .transform(durationSeconds);
/** A moment in UTC, as milliseconds since 1970. */
export const Time = z.string().transform((text, context) => {
  const at = parseTime(text);
  if (at !== null) return at;
  context.addIssue({ code: "custom", message: "a time such as 2026-11-24T09:00:00Z" });
  return z.NEVER;
});

const Rate = z.string().regex(RATE, "a rate: `4 per hour` (minute, hour, day or week)").transform(parseRate);
const WhenField = z.string().transform((text, context) => {
  const when = parseWhen(text);
  if (!("fault" in when)) return when;
  context.addIssue({ code: "custom", message: when.fault });
  return z.NEVER;
});
const Approval = z.union([
  z.literal("none"),
  z.strictObject({
    by: z.array(Id).min(1).max(64).refine(noTwice, TWICE),
    need: z.number().int().min(1).max(MAX_NEEDED_APPROVALS),
    within: Duration.refine((seconds) => seconds > 0, "longer than 0"),
  }),
]);
const NamesField = z.union([
  z.strictObject({ below: Dns }),
  z.strictObject({ exactly: z.array(Dns).min(1).refine(noTwice, TWICE) }),
]);
const Cidr = z.string().transform((text, context) => {
  const cidr = parseCidr(text);
  if (!("fault" in cidr)) return cidr;
  context.addIssue({ code: "custom", message: cidr.fault });
  return z.NEVER;
});
const Value = z.string().regex(/^[ -~]{1,255}$/, "1 to 255 printable ASCII characters");
const Values = z.union([
  z.strictObject({
    within: z
      .array(Cidr)
      .min(1)
      .refine((list) => noTwice(list.map((cidr) => cidr.text)), TWICE),
  }),
  z.strictObject({ exactly: z.array(Value).min(1).refine(noTwice, TWICE) }),
]);

type Range = { min: number; max: number };

function checkRange(most: number) {
  return (value: Range, context: z.RefinementCtx<Range>): void => {
    if (value.min > value.max) context.addIssue({ code: "custom", path: ["max"], message: "max is not less than min" });
    if (value.max > most) context.addIssue({ code: "custom", path: ["max"], message: "more than any command may ask" });
  };
}

function durations(most: number) {
  return z.strictObject({ min: Duration, max: Duration }).superRefine(checkRange(most));
}

const KEY_TYPES = ["P-256", "P-384", "P-521", "Ed25519", "RSA-2048", "RSA-3072", "RSA-4096"] as const;
const KeyType = z.enum(KEY_TYPES);
const Made = z.enum(["in-cluster", "by-vendor"]);
const Usages = z
  .array(z.enum(["server", "client"]))
  .min(1)
  .refine(noTwice, TWICE);
const DnsTypeField = z.enum(["A", "AAAA", "CNAME", "TXT"]);
const ChangeField = z.enum(["create", "replace", "delete"]);

const what = { id: Id, why: Words };
const whenAndWho = { rate: Rate, when: WhenField, approval: Approval };

const ScaleRule = z.strictObject({
  ...what,
  allow: z.literal("scale"),
  group: Resource,
  count: z.strictObject({ min: Count, max: Count }).superRefine(checkRange(MAX_COUNT)),
  /** Machines, per command. */
  change: z.strictObject({ up: Count, down: Count }),
  ...whenAndWho,
});
const CertificateRule = z.strictObject({
  ...what,
  allow: z.literal("issue-certificate"),
  authority: Resource,
  names: NamesField,
  key: z.strictObject({ made: Made, type: z.array(KeyType).min(1).refine(noTwice, TWICE) }),
  usages: Usages,
  validity: durations(MAX_VALIDITY_SECONDS),
  ...whenAndWho,
});
const DnsRule = z
  .strictObject({
    ...what,
    allow: z.literal("update-dns"),
    zone: Resource,
    changes: z.array(ChangeField).min(1).refine(noTwice, TWICE),
    names: NamesField,
    types: z.array(DnsTypeField).min(1).refine(noTwice, TWICE),
    values: Values,
    ttl: durations(MAX_TTL_SECONDS),
    ...whenAndWho,
  })
  .superRefine((rule, context) => {
    const addresses = rule.types.filter((type) => type === "A" || type === "AAAA").length;
    if (addresses !== ("within" in rule.values ? rule.types.length : 0)) {
      const message = "`within` goes with types A and AAAA only, `exactly` with CNAME and TXT only: write two rules";
      context.addIssue({ code: "custom", path: ["values"], message });
    }
    if ("exactly" in rule.values && rule.types.includes("CNAME")) {
      for (const [at, value] of rule.values.exactly.entries()) {
        if (DNS_NAME.test(value)) continue;
        const message = "a CNAME's value is a DNS name in lower case, without trailing dot, wildcard or IDN";
        context.addIssue({ code: "custom", path: ["values", "exactly", at], message });
      }
    }
  });

const Version = z.string().regex(VERSION, VERSION_FORM);
const Versions = z.strictObject({ min: Version, max: Version }).superRefine(({ min, max }, context) => {
  if (!VERSION.test(min) || !VERSION.test(max) || compareVersions(min, max) <= 0) return;
  context.addIssue({ code: "custom", path: ["max"], message: "max is not less than min" });
});
const DeployRule = z.strictObject({
  ...what,
  allow: z.literal("deploy"),
  group: Resource,
  /** Ids of the policy's signers, and how many distinct keys of theirs must have signed the manifest. */
  signers: z.strictObject({
    by: z.array(Id).min(1).max(64).refine(noTwice, TWICE),
    need: z.number().int().min(1).max(64),
  }),
  version: Versions,
  /** Machines that may be out of service at once. */
  unavailable: z.number().int().min(1).max(MAX_COUNT),
  ...whenAndWho,
});

const RuleField = z.discriminatedUnion("allow", [ScaleRule, CertificateRule, DnsRule, DeployRule]);

/** How many intents of a rule are used up, by rule id. */
const Used = z.record(Id, z.number().int().min(0).max(1000)).optional();
const expects = { allow: Id.optional(), wait: Id.optional(), refuse: z.string().max(64).optional() };
/** What a test is given and asks, for each action. */
export const ScaleTest = z.strictObject({
  given: z.strictObject({ count: Count, at: Time, used: Used }),
  ask: z.strictObject({ action: z.literal("scale"), group: Resource, count: Count }),
  ...expects,
});
export const CertificateTest = z.strictObject({
  given: z.strictObject({
    csr: z.strictObject({
      names: z.array(z.string().max(253)),
      key: z.string().max(64),
      made: Made,
      /** The subject's only CN; without it the subject is empty. */
      common_name: z.string().max(253).optional(),
      ca: z.boolean().optional(),
    }),
    at: Time,
    used: Used,
  }),
  ask: z.strictObject({
    action: z.literal("issue-certificate"),
    authority: Resource,
    usages: Usages,
    validity: Duration,
  }),
  ...expects,
});
export const DnsTest = z.strictObject({
  given: z.strictObject({
    record: z.union([z.literal("none"), z.strictObject({ values: z.array(Value).min(1), ttl: Duration })]),
    at: Time,
    used: Used,
  }),
  ask: z.strictObject({
    action: z.literal("update-dns"),
    zone: Resource,
    name: z.string().max(253),
    type: DnsTypeField,
    change: ChangeField,
    values: z.array(Value).max(32),
    ttl: Duration,
  }),
  ...expects,
});
/** What a manifest says of another place than this, digests as `sha256:…`; what is left out is as this cluster has it. */
const ManifestGiven = z.strictObject({
  signed_by: z.array(Id).max(64).refine(noTwice, TWICE),
  version: Version,
  cluster: z.string().max(63).optional(),
  place: z.strictObject({ cloud: Id, account: z.string().max(128), region: z.string().max(64) }).optional(),
  policy: Sha256.optional(),
  groups: z.array(Resource).max(256).optional(),
});
export const DeployTest = z.strictObject({
  given: z.strictObject({ manifest: ManifestGiven, at: Time, used: Used }),
  ask: z.strictObject({ action: z.literal("deploy"), group: Resource, manifest: Sha256.optional() }),
  ...expects,
});
/** What `refuse:` may name besides a field of a rule. */
export const TEST_REFUSALS = [
  "no-rule",
  "count",
  "change",
  "names",
  "key",
  "csr",
  "usages",
  "validity",
  "changes",
  "types",
  "values",
  "ttl",
  "signers",
  "version",
  "manifest",
  "rate",
  "when",
] as const;
const Test = z.union([ScaleTest, CertificateTest, DnsTest, DeployTest]).superRefine((test, context) => {
  const said = [test.allow, test.wait, test.refuse].filter((each) => each !== undefined).length;
  if (said !== 1) context.addIssue({ code: "custom", message: "a test says one of allow, wait and refuse" });
  if (test.refuse !== undefined && !(TEST_REFUSALS as readonly string[]).includes(test.refuse)) {
    context.addIssue({ code: "custom", path: ["refuse"], message: `one of ${TEST_REFUSALS.join(", ")}` });
  }
  if (test.ask.action === "update-dns" && (test.ask.change === "delete") !== (test.ask.values.length === 0)) {
    context.addIssue({
      code: "custom",
      path: ["ask", "values"],
      message: "values are empty for delete, and only then",
    });
  }
});

const Place = z.discriminatedUnion("cloud", [
  z.strictObject({ cloud: z.literal("local") }),
  z.strictObject({
    cloud: z.literal("aws"),
    account: z.string().regex(/^\d{12}$/, 'an account of 12 digits, in quotes: "111122223333"'),
    region: z.string().regex(/^(?:[a-z]{2}|eusc)(?:-[a-z]+)+-\d$/, "a region such as eu-west-1"),
  }),
  z.strictObject({
    cloud: z.literal("gcp"),
    project: z.string().regex(/^[a-z][a-z0-9-]{4,28}[a-z0-9]$/, "a project's id"),
    region: z.string().regex(/^[a-z]+-[a-z]+\d$/, "a region such as europe-west1"),
  }),
  z.strictObject({
    cloud: z.literal("azure"),
    subscription: z.string().regex(/^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/, "a subscription's id"),
    resource_group: z.string().regex(/^[A-Za-z0-9_.()-]{0,89}[A-Za-z0-9_()-]$/, "a resource group's name"),
  }),
]);

const SshKey = z
  .string()
  .refine(isSshKey, "an OpenSSH public key without comment, Ed25519 or ECDSA, such as `ssh-ed25519 AAAA…`");
const NoteKey = z.string().refine(isNoteKey, "a note verifier key, name+hash+key (Ed25519)");

export const PolicyFile = z
  .strictObject({
    version: z.literal(1),
    revision: z.number().int().min(1).max(Number.MAX_SAFE_INTEGER),
    cluster: z.string().regex(/^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/, "a cluster's name: a-z 0-9 and -"),
    vendor: z.string().regex(DNS_NAME, "the vendor's trust domain, such as vendor.example"),
    place: Place,
    people: z.record(Id, SshKey),
    signers: z.record(Id, NoteKey),
    share: z.array(z.enum(["policy", "manifest"])).refine(noTwice, TWICE),
    dry_run: z.enum(["allowed", "refused"]),
    rules: z.array(RuleField),
    tests: z.array(Test),
  })
  .superRefine((file, context) => {
    // By the point, not the text: as a FIDO key and as a plain one it is still the same private key.
    const holders = new Map<string, string>();
    for (const [name, text] of Object.entries(file.people)) {
      const key = readSshKey(text);
      if (key === null) continue;
      const point = Buffer.from(key.point).toString("hex");
      const holder = holders.get(point);
      if (holder === undefined) holders.set(point, name);
      else {
        const message = `${name} has the same key as ${holder}: two names with one key would count as two people`;
        context.addIssue({ code: "custom", path: ["people", name], message });
      }
    }
    const ids = new Set<string>();
    for (const [at, rule] of file.rules.entries()) {
      const issue = (path: readonly PropertyKey[], message: string): void =>
        context.addIssue({ code: "custom", path: ["rules", at, ...path], message });
      if (ids.has(rule.id)) issue(["id"], `another rule has the id ${rule.id}`);
      ids.add(rule.id);
      if (rule.allow === "deploy") {
        const keys = new Set<string | null>();
        for (const [nth, id] of rule.signers.by.entries()) {
          if (Object.hasOwn(file.signers, id)) keys.add(noteKeyOf(file.signers[id] ?? ""));
          else issue(["signers", "by", nth], `${id} is not one of signers`);
        }
        if (rule.signers.need > keys.size) issue(["signers", "need"], "needs more keys than are named");
      }
      if (rule.approval === "none") continue;
      for (const [person, name] of rule.approval.by.entries()) {
        if (!Object.hasOwn(file.people, name)) issue(["approval", "by", person], `${name} is not one of people`);
      }
      if (rule.approval.need > rule.approval.by.length) issue(["approval", "need"], "needs more people than are named");
    }
    for (const [at, test] of file.tests.entries()) {
      for (const how of ["allow", "wait"] as const) {
        const id = test[how];
        if (id === undefined || ids.has(id)) continue;
        context.addIssue({ code: "custom", path: ["tests", at, how], message: `there is no rule ${id}` });
      }
      for (const id of Object.keys(test.given.used ?? {})) {
        if (ids.has(id)) continue;
        context.addIssue({
          code: "custom",
          path: ["tests", at, "given", "used", id],
          message: `there is no rule ${id}`,
        });
      }
      for (const [nth, id] of ("manifest" in test.given ? test.given.manifest.signed_by : []).entries()) {
        if (Object.hasOwn(file.signers, id)) continue;
        const path = ["tests", at, "given", "manifest", "signed_by", nth];
        context.addIssue({ code: "custom", path, message: `${id} is not one of signers` });
      }
    }
  });

export type PolicyFile = z.output<typeof PolicyFile>;
export type Rule = PolicyFile["rules"][number];
export type RuleFor<A extends Rule["allow"]> = Extract<Rule, { allow: A }>;
export type PolicyTest = PolicyFile["tests"][number];

/** A parsed policy: times in milliseconds, durations in seconds. Only parse.ts makes one. */
export type Policy = PolicyFile & {
  /** `sha256:` and lower-case hex, of the file's bytes: what a manifest may say that it was made for. */
  readonly digest: string;
  /** Rules by action and resource, each list in the order of their ids: a decision never looks at another resource's rules. */
  readonly index: ReadonlyMap<string, readonly Rule[]>;
};

/** What a rule is about, as it names it: a group, an authority or a zone. */
export function ruleResource(rule: Rule): string {
  switch (rule.allow) {
    case "scale":
    case "deploy":
      return rule.group;
    case "issue-certificate":
      return rule.authority;
    case "update-dns":
      return rule.zone;
  }
}

function keyOf(rule: Rule): string {
  return `${rule.allow} ${ruleResource(rule)}`;
}

/** Adds the index to what the schema accepted. */
export function indexed(file: PolicyFile & { readonly digest: string }): Policy {
  const index = new Map<string, Rule[]>();
  for (const rule of [...file.rules].sort((a, b) => (a.id < b.id ? -1 : 1))) {
    const list = index.get(keyOf(rule));
    if (list === undefined) index.set(keyOf(rule), [rule]);
    else list.push(rule);
  }
  return { ...file, index };
}

/** The rules for one action on one resource (group, authority or zone), in the order of their ids. */
export function rulesFor<A extends Rule["allow"]>(policy: Policy, action: A, resource: string): readonly RuleFor<A>[] {
  // The key holds the action, so every rule under it is of that action.
  return (policy.index.get(`${action} ${resource}`) ?? []) as readonly RuleFor<A>[];
}
