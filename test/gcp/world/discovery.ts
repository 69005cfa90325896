/**
 * Google's own descriptions of its APIs: the discovery documents that google-api-python-client brings. Every request and every answer of
 * the world is held to them, so that the world cannot agree with a mistake of ours about a path, a parameter or a field.
 */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { python } from "../../python.ts";
import { enumNumbers } from "./enums.ts";

export type Json = null | boolean | number | string | readonly Json[] | { readonly [name: string]: Json };
export type Structure = { readonly [name: string]: Json };

export type Schema = {
  readonly $ref?: string;
  readonly type?: string;
  readonly format?: string;
  readonly pattern?: string;
  readonly enum?: readonly string[];
  readonly required?: boolean;
  readonly location?: "path" | "query";
  readonly repeated?: boolean;
  readonly items?: Schema;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly additionalProperties?: Schema;
};
type RawMethod = {
  readonly id: string;
  readonly httpMethod: string;
  readonly flatPath: string;
  readonly parameters?: Readonly<Record<string, Schema>>;
  readonly request?: { readonly $ref: string };
  readonly response?: { readonly $ref: string };
};
type Resource = {
  readonly methods?: Readonly<Record<string, RawMethod>>;
  readonly resources?: Readonly<Record<string, Resource>>;
};
type Document = Resource & {
  readonly servicePath: string;
  readonly parameters: Readonly<Record<string, Schema>>;
  readonly schemas: Readonly<Record<string, Schema>>;
};

export type Method = RawMethod & { readonly path: RegExp; readonly names: readonly string[] };
export type Api = {
  /** The method that this request calls, with the parts of its path; null: Google has none such. */
  find(
    httpMethod: string,
    path: string,
  ): { readonly method: Method; readonly parts: Readonly<Record<string, string>> } | null;
  /** What is wrong with these query parameters. */
  wrongQuery(method: Method, query: URLSearchParams): readonly string[];
  /** What is wrong with this body or answer. */
  wrong(schema: { readonly $ref: string } | undefined, value: Json | undefined): readonly string[];
  /** With enums as numbers, as `$alt=json;enum-encoding=int` asks. */
  numbered(schema: { readonly $ref: string } | undefined, value: Json): Json;
};

export const REQUIREMENTS = join(import.meta.dir, "requirements.txt");

/** The folder of the discovery documents. */
function documents(): string {
  const library = join(python(REQUIREMENTS), "../../lib");
  const version = readdirSync(library).find((name) => name.startsWith("python3."));
  if (version === undefined) throw new Error("a Python without a library");
  return join(library, version, "site-packages/googleapiclient/discovery_cache/documents");
}

const FORMATS: Readonly<Record<string, RegExp>> = {
  int64: /^-?\d{1,19}$/,
  uint64: /^\d{1,20}$/,
  "google-datetime": /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?Z$/,
  "google-duration": /^-?\d+(?:\.\d{1,9})?s$/,
  byte: /^[A-Za-z0-9+/_-]*={0,2}$/,
};
/** Taken by every method, whatever its document says (AIP-127 and the system parameters). */
const SYSTEM = new Set(["$alt", "$prettyPrint", "prettyPrint", "alt"]);

function methodsOf(resource: Resource): RawMethod[] {
  const below = Object.values(resource.resources ?? {}).flatMap(methodsOf);
  return [...Object.values(resource.methods ?? {}), ...below];
}

function compiled(raw: RawMethod, servicePath: string): Method {
  const names = [...raw.flatPath.matchAll(/\{(\w+)\}/g)].map(([, name = ""]) => name);
  const pattern = raw.flatPath.split(/\{\w+\}/).map((text) => text.replace(/[.*+?^$()|[\]\\]/g, "\\$&"));
  return { ...raw, names, path: new RegExp(`^/${servicePath}${pattern.join("([^/:]+)")}$`) };
}

const apis = new Map<string, Api>();

/** Read once a process: Compute Engine's is 5 MB. */
export function api(name: string): Api {
  const found = apis.get(name) ?? read(name);
  apis.set(name, found);
  return found;
}

function read(name: string): Api {
  const document = JSON.parse(readFileSync(join(documents(), `${name}.json`), "utf8")) as Document;
  const methods = methodsOf(document).map((raw) => compiled(raw, document.servicePath));
  const numbers = enumNumbers(name);
  const schemaOf = (ref: string): Schema => {
    const found = document.schemas[ref];
    if (found === undefined) throw new Error(`${name} has no ${ref}`);
    return found;
  };

  const check = (schema: Schema, value: Json | undefined, at: string): string[] => {
    if (schema.$ref !== undefined) return check(schemaOf(schema.$ref), value, at);
    const kind = Array.isArray(value) ? "array" : value === null ? "null" : typeof value;
    switch (schema.type) {
      case "any":
        return [];
      case "boolean":
        return kind === "boolean" ? [] : [`${at} is ${kind}, not a boolean`];
      case "integer":
      case "number":
        return kind === "number" && (schema.type === "number" || Number.isInteger(value)) ? [] : [`${at} is no number`];
      case "array":
        if (!Array.isArray(value)) return [`${at} is ${kind}, not an array`];
        return value.flatMap((item, index) => check(schema.items ?? {}, item as Json, `${at}[${index}]`));
      case "object": {
        if (kind !== "object") return [`${at} is ${kind}, not an object`];
        return Object.entries(value as Structure).flatMap(([field, inner]) => {
          const known = schema.properties?.[field] ?? schema.additionalProperties;
          return known === undefined ? [`${at}.${field} is not known`] : check(known, inner, `${at}.${field}`);
        });
      }
      default:
        return text(schema, value, at);
    }
  };
  const text = (schema: Schema, value: Json | undefined, at: string): string[] => {
    if (schema.enum !== undefined && typeof value === "number")
      return numbers(schema.enum).some(([, number]) => number === value) ? [] : [`${at} is no number of its enum`];
    if (typeof value !== "string") return [`${at} is ${typeof value}, not a string`];
    if (schema.enum !== undefined && !schema.enum.includes(value)) return [`${at} is ${value}, none of its enum`];
    const format = FORMATS[schema.format ?? ""];
    return format === undefined || format.test(value) ? [] : [`${at} is ${value}, not a ${schema.format}`];
  };
  const number = (schema: Schema, value: Json): Json => {
    if (schema.$ref !== undefined) return number(schemaOf(schema.$ref), value);
    if (Array.isArray(value)) return (value as readonly Json[]).map((item) => number(schema.items ?? {}, item));
    if (value !== null && typeof value === "object") {
      const known = (field: string): Schema => schema.properties?.[field] ?? schema.additionalProperties ?? {};
      return Object.fromEntries(
        Object.entries(value as Structure).map(([field, inner]) => [field, number(known(field), inner)]),
      );
    }
    if (schema.enum === undefined || typeof value !== "string") return value;
    return numbers(schema.enum).find(([word]) => word === value)?.[1] ?? value;
  };

  return {
    find(httpMethod, path) {
      for (const method of methods) {
        const match = method.httpMethod === httpMethod ? method.path.exec(path) : null;
        if (match === null) continue;
        const parts = Object.fromEntries(
          method.names.map((part, at) => [part, decodeURIComponent(match[at + 1] ?? "")]),
        );
        return { method, parts };
      }
      return null;
    },
    wrongQuery(method, query) {
      const own = Object.entries(method.parameters ?? {}).filter(([, { location }]) => location === "query");
      const known = new Map([...own, ...Object.entries(document.parameters)]);
      const missing = own.filter(([field, { required }]) => required === true && !query.has(field));
      return [
        ...missing.map(([field]) => `the parameter ${field} is missing`),
        ...[...query].flatMap(([field, value]) => {
          const schema = known.get(field);
          if (schema === undefined) return SYSTEM.has(field) ? [] : [`the parameter ${field} is not known`];
          if (schema.type === "integer") return /^-?\d+$/.test(value) ? [] : [`the parameter ${field} is no integer`];
          if (schema.type === "boolean")
            return /^(?:true|false)$/.test(value) ? [] : [`the parameter ${field} is no boolean`];
          if (schema.enum !== undefined && !schema.enum.includes(value)) return [`the parameter ${field} is ${value}`];
          return [];
        }),
      ];
    },
    wrong(schema, value) {
      if (schema === undefined) return value === undefined ? [] : ["a body, where Google takes none"];
      return value === undefined ? ["no body"] : check(schema, value, schema.$ref);
    },
    numbered: (schema, value) => (schema === undefined ? value : number(schema, value)),
  };
}
