/**
 * Google's packages hold the descriptors of whole APIs: of Compute Engine 12 MB, which cost each start half a second and 250 MB. The agent calls
 * a dozen methods, all in the call gate's table: of the descriptors only these methods and the messages that they reach are built in.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { BunPlugin } from "bun";
import { GCP_OPERATIONS } from "../policy/permissions/gcp/operations.ts";

type Field = { readonly type?: string; readonly keyType?: string };
type Method = { readonly requestType: string; readonly responseType: string };
export type Descriptors = {
  readonly nested?: Readonly<Record<string, Descriptors>>;
  readonly fields?: Readonly<Record<string, Field>>;
  readonly values?: unknown;
  readonly methods?: Readonly<Record<string, Method>>;
};
/** Full names of methods, and of messages that are needed besides what these reach. */
export type Kept = { readonly methods: ReadonlySet<string>; readonly messages: readonly string[] };

const capital = (word: string): string => word.slice(0, 1).toUpperCase() + word.slice(1);
// A deploy's calls are made without Google's clients: what it copies must come back whole, also what these descriptors do not know.
const operations = Object.entries(GCP_OPERATIONS).flatMap(([action, rows]) => (action === "deploy" ? [] : rows));
const COMPUTE = "google.cloud.compute.v1";
const AUTHORITY = "google.cloud.security.privateca.v1";
/** The method of Certificate Authority Service: "privateca.certificates.create" is CreateCertificate. */
const AUTHORITY_METHODS: Readonly<Record<string, string>> = {
  "privateca.caPools.fetchCaCerts": "FetchCaCerts",
  "privateca.certificates.create": "CreateCertificate",
  "privateca.certificates.get": "GetCertificate",
};

function authorityMethod(operation: string): string {
  const method = AUTHORITY_METHODS[operation];
  if (method === undefined) throw new Error(`no method is known for ${operation}`);
  return `${AUTHORITY}.CertificateAuthorityService.${method}`;
}

/** By the package: what of it the table calls. */
export const KEPT: Readonly<Record<string, Kept>> = {
  "@google-cloud/compute": {
    methods: new Set(
      operations.flatMap(({ service, operation }) => {
        const [, api = "", method = ""] = operation.split(".");
        return service === "compute" ? [`${COMPUTE}.${capital(api)}.${capital(method)}`] : [];
      }),
    ),
    messages: [],
  },
  "@google-cloud/security-private-ca": {
    methods: new Set([
      ...operations.flatMap(({ service, operation }) => (service === "privateca" ? [authorityMethod(operation)] : [])),
      // Not called: its client makes another for it as it is made.
      "google.longrunning.Operations.GetOperation",
    ]),
    // Its client looks these up as it is made, for operations that take time and are not called.
    messages: [
      ...[
        "CertificateAuthority",
        "OperationMetadata",
        "CaPool",
        "CertificateRevocationList",
        "CertificateTemplate",
      ].map((name) => `${AUTHORITY}.${name}`),
      "google.protobuf.Empty",
    ],
  },
};

type Index = ReadonlyMap<string, Descriptors>;
function indexed(node: Descriptors, name: string): [string, Descriptors][] {
  const below = Object.entries(node.nested ?? {}).flatMap(([word, inner]) =>
    indexed(inner, name === "" ? word : `${name}.${word}`),
  );
  return [[name, node], ...below];
}

/** protobuf's own rule: from the innermost scope outwards. Null for a scalar. */
function resolve(index: Index, scope: string, type: string): string | null {
  if (type.startsWith(".")) return type.slice(1);
  for (let at = scope; ; at = at.slice(0, Math.max(at.lastIndexOf("."), 0))) {
    const full = at === "" ? type : `${at}.${type}`;
    if (index.has(full)) return full;
    if (at === "") return null;
  }
}

/** Names of every message and enum that these reach. */
function reached(index: Index, first: readonly string[]): ReadonlySet<string> {
  const found = new Set<string>();
  const waiting = [...first];
  for (let name = waiting.pop(); name !== undefined; name = waiting.pop()) {
    if (found.has(name)) continue;
    found.add(name);
    for (const { type = "" } of Object.values(index.get(name)?.fields ?? {})) {
      const next = resolve(index, name, type);
      if (next !== null) waiting.push(next);
    }
  }
  return found;
}

/** The descriptors of only what is kept. Throws when a kept method or message is not there: the table and the package do not fit. */
export function pruned(whole: Descriptors, { methods, messages }: Kept): Descriptors {
  const index: Index = new Map(indexed(whole, ""));
  const service = (method: string): string => method.slice(0, method.lastIndexOf("."));
  const asked = [...methods].flatMap((method) => {
    const found = index.get(service(method))?.methods?.[method.slice(service(method).length + 1)];
    if (found === undefined) throw new Error(`the descriptors hold no ${method}`);
    return [found.requestType, found.responseType].map((type) => resolve(index, service(method), type) ?? type);
  });
  for (const name of [...messages, ...asked]) if (!index.has(name)) throw new Error(`the descriptors hold no ${name}`);
  const kept = reached(index, [...messages, ...asked]);
  const services = new Set([...methods].map(service));

  const walk = (node: Descriptors, name: string): Descriptors | null => {
    const nested = Object.entries(node.nested ?? {}).flatMap(([word, inner]) => {
      const left = walk(inner, name === "" ? word : `${name}.${word}`);
      return left === null ? [] : [[word, left] as const];
    });
    const { nested: _, ...own } = node;
    const inner = nested.length === 0 ? {} : { nested: Object.fromEntries(nested) };
    if (services.has(name)) {
      const left = Object.entries(node.methods ?? {}).filter(([method]) => methods.has(`${name}.${method}`));
      return { ...own, methods: Object.fromEntries(left), ...inner };
    }
    if (kept.has(name)) return { ...own, ...inner };
    if (nested.length === 0) return null;
    // A message that is kept for what is nested in it: its own fields would ask for more.
    return node.fields === undefined ? { ...own, ...inner } : { ...own, fields: {}, ...inner };
  };
  return walk(whole, "") ?? {};
}

const GOOGLE = join(import.meta.dirname, "google");

/** For the bundler: pruned descriptors, no gRPC, and no chain of default credentials. */
export const googlePlugin: BunPlugin = {
  name: "google",
  setup(build) {
    build.onResolve({ filter: /^google-gax$/ }, () => ({ path: join(GOOGLE, "gax.js") }));
    build.onResolve({ filter: /^google-auth-library$/ }, () => ({ path: join(GOOGLE, "auth.js") }));
    build.onLoad({ filter: /\/@google-cloud\/[a-z-]+\/build\/protos\/protos\.json$/ }, ({ path }) => {
      const [, name = ""] = /\/(@google-cloud\/[a-z-]+)\/build\/protos\/protos\.json$/.exec(path) ?? [];
      const kept = KEPT[name];
      if (kept === undefined) throw new Error(`it is not known what is called of ${name}`);
      const whole = JSON.parse(readFileSync(path, "utf8")) as Descriptors;
      return { contents: JSON.stringify(pruned(whole, kept)), loader: "json" };
    });
  },
};
