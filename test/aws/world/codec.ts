/**
 * Turns a call and its answer into the bytes of AWS's four protocols and back, by the service's own model: both ends of the wire, for the
 * proxy and for the tests' own calls. A parameter that the model does not know is an error, as it is for AWS.
 */
import { type Model, type Operation, operationOf, type Reference, type Shape, shapeOf } from "./model.ts";
import { type Element, escapeXml, parseXml } from "./xml.ts";

export type Value = string | number | boolean | readonly Value[] | { readonly [name: string]: Value | undefined };
export type Structure = { readonly [name: string]: Value | undefined };
export type Message = {
  readonly method: string;
  /** With the query. */
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
};
export type Reply = {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
};

const CONTENT = {
  json: "application/x-amz-json-1.1",
  query: "application/x-www-form-urlencoded; charset=utf-8",
  ec2: "application/x-www-form-urlencoded; charset=utf-8",
  "rest-xml": "application/xml",
} as const;

function isStructure(value: Value): value is Structure {
  return typeof value === "object" && !Array.isArray(value);
}
function structure(value: Value): Structure {
  if (!isStructure(value)) throw new RangeError("no structure");
  return value;
}
function list(value: Value): readonly Value[] {
  if (!Array.isArray(value)) throw new RangeError("no list");
  return value;
}

/** A member's name on an XML or query wire. */
function wireName(model: Model, name: string, reference: Reference): string {
  const shape = shapeOf(model, reference);
  if (shape.type === "list" && (shape.flattened ?? false)) return shape.member?.locationName ?? name;
  return reference.locationName ?? name;
}
function itemName(reference: Reference | undefined): string {
  return reference?.locationName ?? "member";
}
function itemOf(reference: Reference | undefined): Reference {
  if (reference === undefined) throw new RangeError("a list without items");
  return reference;
}

function toXml(model: Model, reference: Reference, value: Value, name: string): string {
  const shape = shapeOf(model, reference);
  if (shape.type === "structure") {
    const given = structure(value);
    const inner = Object.entries(shape.members ?? {}).map(([member, of]) => {
      const item = given[member];
      return item === undefined || of.location !== undefined ? "" : toXml(model, of, item, wireName(model, member, of));
    });
    return `<${name}>${inner.join("")}</${name}>`;
  }
  if (shape.type === "list") {
    const items = list(value).map((item) =>
      toXml(model, itemOf(shape.member), item, shape.flattened === true ? name : itemName(shape.member)),
    );
    return shape.flattened === true ? items.join("") : `<${name}>${items.join("")}</${name}>`;
  }
  return `<${name}>${escapeXml(String(value))}</${name}>`;
}

/** A scalar from its text. */
function scalar(type: string, text: string): Value {
  if (type === "boolean") {
    if (text !== "true" && text !== "false") throw new RangeError(`no boolean: ${text}`);
    return text === "true";
  }
  if (["integer", "long", "float", "double"].includes(type)) {
    const number = Number(text);
    if (text.trim() === "" || !Number.isFinite(number)) throw new RangeError(`no number: ${text}`);
    return number;
  }
  return text;
}

function fromXml(model: Model, reference: Reference, elements: readonly Element[], strict: boolean): Value {
  const shape = shapeOf(model, reference);
  const [element] = elements;
  if (element === undefined) throw new RangeError("no element");
  if (shape.type === "list") {
    const items = shape.flattened === true ? elements : element.children;
    return items.map((item) => fromXml(model, itemOf(shape.member), [item], strict));
  }
  if (shape.type !== "structure") return scalar(shape.type, element.text);
  const members = Object.entries(shape.members ?? {}).map(([name, of]) => ({
    name,
    of,
    wire: wireName(model, name, of),
  }));
  const unknown = element.children.find((child) => !members.some(({ wire }) => wire === child.name));
  if (strict && unknown !== undefined) throw new RangeError(`unknown element ${unknown.name} in ${element.name}`);
  return Object.fromEntries(
    members.flatMap(({ name, of, wire }) => {
      const found = element.children.filter((child) => child.name === wire);
      return found.length === 0 ? [] : [[name, fromXml(model, of, found, strict)]];
    }),
  );
}

/** A member's name in a form. EC2's own protocol begins each with a capital, and has every list flat ("AWS EC2 protocol", Smithy). */
function formName(model: Model, name: string, { queryName, locationName }: Reference): string {
  if (queryName !== undefined) return queryName;
  const named = locationName ?? name;
  return model.metadata.protocol === "ec2" ? `${named.slice(0, 1).toUpperCase()}${named.slice(1)}` : named;
}
function isFlat(model: Model, { flattened = false }: Shape): boolean {
  return flattened || model.metadata.protocol === "ec2";
}

function toForm(model: Model, reference: Reference, value: Value, prefix: string): [string, string][] {
  const shape = shapeOf(model, reference);
  const under = (name: string) => (prefix === "" ? name : `${prefix}.${name}`);
  if (shape.type === "structure")
    return Object.entries(structure(value)).flatMap(([name, item]) => {
      const of = shape.members?.[name];
      if (of === undefined) throw new RangeError(`unknown parameter ${under(name)}`);
      return item === undefined ? [] : toForm(model, of, item, under(formName(model, name, of)));
    });
  if (shape.type === "list") {
    const within = isFlat(model, shape) ? prefix : under(itemName(shape.member));
    return list(value).flatMap((item, index) => toForm(model, itemOf(shape.member), item, `${within}.${index + 1}`));
  }
  return [[prefix, String(value)]];
}

function fromForm(
  model: Model,
  reference: Reference,
  form: ReadonlyMap<string, string>,
  prefix: string,
): Value | undefined {
  const shape = shapeOf(model, reference);
  const under = (name: string) => (prefix === "" ? name : `${prefix}.${name}`);
  const any = (start: string) => [...form.keys()].some((key) => key === start || key.startsWith(`${start}.`));
  if (shape.type === "structure") {
    const members = Object.entries(shape.members ?? {}).filter(([name, of]) => any(under(formName(model, name, of))));
    return Object.fromEntries(
      members.map(([name, of]) => [name, fromForm(model, of, form, under(formName(model, name, of)))]),
    );
  }
  if (shape.type === "list") {
    const within = isFlat(model, shape) ? prefix : under(itemName(shape.member));
    const items: Value[] = [];
    for (let index = 1; any(`${within}.${index}`); index++) {
      const item = fromForm(model, itemOf(shape.member), form, `${within}.${index}`);
      if (item !== undefined) items.push(item);
    }
    return items;
  }
  const text = form.get(prefix);
  return text === undefined ? undefined : scalar(shape.type, text);
}

/** The call's bytes, unsigned. */
export function encodeCall(model: Model, name: string, params: Structure): Message {
  const operation = operationOf(model, name);
  const { protocol, apiVersion, targetPrefix } = model.metadata;
  const { method } = operation.http;
  const headers = { "content-type": CONTENT[protocol] };
  if (protocol === "json")
    return {
      method,
      path: "/",
      headers: { ...headers, "x-amz-target": `${targetPrefix}.${name}` },
      body: JSON.stringify(params),
    };
  if (protocol === "query" || protocol === "ec2") {
    const fields = operation.input === undefined ? [] : toForm(model, operation.input, params, "");
    const body = new URLSearchParams([["Action", name], ["Version", apiVersion], ...fields]).toString();
    return { method, path: "/", headers, body };
  }
  return { ...restCall(model, operation, params), headers };
}

function restCall(model: Model, operation: Operation, params: Structure): Omit<Message, "headers"> {
  const { method, requestUri } = operation.http;
  const { input } = operation;
  if (input === undefined) return { method, path: requestUri, body: "" };
  const query = new URLSearchParams();
  let path = requestUri;
  for (const [name, of] of Object.entries(shapeOf(model, input).members ?? {})) {
    const value = params[name];
    if (value === undefined) continue;
    const wire = of.locationName ?? name;
    if (of.location === "uri") path = path.replace(`{${wire}}`, encodeURIComponent(String(value)));
    else if (of.location === "querystring") query.set(wire, String(value));
  }
  const asked = query.toString().replaceAll("+", "%20");
  const body = input.locationName === undefined ? "" : toXml(model, input, params, input.locationName);
  const named = body.replace(`<${input.locationName}>`, `<${input.locationName} xmlns="${namespace(model)}">`);
  return { method, path: asked === "" ? path : `${path}?${asked}`, body: named };
}

function namespace(model: Model): string {
  return model.metadata.xmlNamespace ?? `https://${model.service}.amazonaws.com/doc/${model.metadata.apiVersion}/`;
}

/** The operation that a message asks for, and its parameters. Throws a RangeError for what the model does not know. */
export function decodeCall(model: Model, message: Message): { operation: string; params: Structure } {
  const { protocol, targetPrefix, apiVersion } = model.metadata;
  if (protocol === "json") {
    const [prefix, name = ""] = (message.headers["x-amz-target"] ?? "").split(".");
    if (prefix !== targetPrefix) throw new RangeError(`unknown target ${prefix}`);
    const params: Structure = JSON.parse(message.body);
    known(model, operationOf(model, name).input, params);
    return { operation: name, params };
  }
  if (protocol === "query" || protocol === "ec2") {
    const form = new Map(new URLSearchParams(message.body));
    const name = form.get("Action") ?? "";
    const { input } = operationOf(model, name);
    if (form.get("Version") !== apiVersion) throw new RangeError("unknown version");
    const params = input === undefined ? {} : structure(fromForm(model, input, form, "") ?? {});
    const fields = input === undefined ? [] : toForm(model, input, params, "").map(([key]) => key);
    const unknown = [...form.keys()].find((key) => !["Action", "Version", ...fields].includes(key));
    // An empty list is sent as its bare name.
    if (unknown !== undefined && form.get(unknown) !== "") throw new RangeError(`unknown parameter ${unknown}`);
    return { operation: name, params };
  }
  return decodeRest(model, message);
}

/** JSON's parameters may hold only what the model names. */
function known(model: Model, reference: Reference | undefined, value: Value): void {
  if (reference === undefined) return;
  const shape = shapeOf(model, reference);
  if (shape.type === "list") for (const item of list(value)) known(model, itemOf(shape.member), item);
  if (shape.type !== "structure") return;
  for (const [name, item] of Object.entries(structure(value))) {
    const member = shape.members?.[name];
    if (member === undefined) throw new RangeError(`unknown parameter ${name}`);
    if (item !== undefined) known(model, member, item);
  }
}

function decodeRest(model: Model, { method, path, body }: Message): { operation: string; params: Structure } {
  const url = new URL(path, "http://x");
  const asked = url.pathname.replace(/\/$/, "").split("/");
  for (const operation of Object.values(model.operations)) {
    if (operation.http.method !== method) continue;
    const wanted = (operation.http.requestUri.split("?")[0] ?? "").replace(/\/$/, "").split("/");
    if (wanted.length !== asked.length) continue;
    const uri: Record<string, string> = {};
    const same = wanted.every((part, index) => {
      const given = asked[index] ?? "";
      const name = /^\{(\w+)\+?\}$/.exec(part)?.[1];
      if (name !== undefined) uri[name] = decodeURIComponent(given);
      return name !== undefined || part === given;
    });
    if (same) return { operation: operation.name, params: restParams(model, operation, uri, url.searchParams, body) };
  }
  throw new RangeError(`unknown operation ${method} ${url.pathname}`);
}

function restParams(
  model: Model,
  { input }: Operation,
  uri: Readonly<Record<string, string>>,
  query: URLSearchParams,
  body: string,
): Structure {
  if (input === undefined) return {};
  const located = Object.entries(shapeOf(model, input).members ?? {}).flatMap(([name, of]) => {
    const wire = of.locationName ?? name;
    const text = of.location === "uri" ? uri[wire] : of.location === "querystring" ? query.get(wire) : undefined;
    return text === undefined || text === null ? [] : [[name, scalar(shapeOf(model, of).type, text)]];
  });
  const inner = body === "" ? {} : structure(fromXml(model, input, [parseXml(body)], true));
  return { ...inner, ...Object.fromEntries(located) };
}

/** The answer's bytes, as AWS sends them. */
export function encodeAnswer(model: Model, name: string, result: Structure, requestId: string): Reply {
  const { output } = operationOf(model, name);
  const { protocol } = model.metadata;
  const headers = { "x-amzn-requestid": requestId, "content-type": protocol === "json" ? CONTENT.json : "text/xml" };
  if (protocol === "json") return { status: 200, headers, body: JSON.stringify(result) };
  const xmlns = ` xmlns="${namespace(model)}"`;
  if (protocol === "rest-xml") {
    if (output === undefined) return { status: 200, headers, body: "" };
    const body = toXml(model, output, result, output.shape).replace(`<${output.shape}>`, `<${output.shape}${xmlns}>`);
    return { status: 200, headers, body: `<?xml version="1.0" encoding="UTF-8"?>\n${body}` };
  }
  if (protocol === "ec2") {
    const fields = output === undefined ? "" : toXml(model, output, result, "x").slice("<x>".length, -"</x>".length);
    const body = `<${name}Response${xmlns}><requestId>${requestId}</requestId>${fields}</${name}Response>`;
    return { status: 200, headers, body };
  }
  const inner = output === undefined ? "" : toXml(model, output, result, output.resultWrapper ?? `${name}Result`);
  const metadata = `<ResponseMetadata><RequestId>${requestId}</RequestId></ResponseMetadata>`;
  return { status: 200, headers, body: `<${name}Response${xmlns}>${inner}${metadata}</${name}Response>` };
}

/** The result in an answer; what the model does not know is left out. */
export function decodeAnswer(model: Model, name: string, body: string): Structure {
  const { output } = operationOf(model, name);
  if (output === undefined || body === "") return {};
  const { protocol } = model.metadata;
  if (protocol === "json") return JSON.parse(body);
  const root = parseXml(body);
  const at = protocol === "query" ? root.children.find((child) => child.name === output.resultWrapper) : root;
  return at === undefined ? {} : structure(fromXml(model, output, [at], false));
}

/** An error's bytes, as AWS sends them. */
export function encodeError(model: Model, code: string, status: number, message: string, requestId: string): Reply {
  const headers = { "x-amzn-requestid": requestId };
  if (model.metadata.protocol === "json")
    return {
      status,
      headers: { ...headers, "content-type": CONTENT.json },
      body: JSON.stringify({ __type: code, message }),
    };
  if (model.metadata.protocol === "ec2") {
    const error = `<Error><Code>${code}</Code><Message>${escapeXml(message)}</Message></Error>`;
    const body = `<Response><Errors>${error}</Errors><RequestID>${requestId}</RequestID></Response>`;
    return { status, headers: { ...headers, "content-type": "text/xml;charset=UTF-8" }, body };
  }
  const type = status < 500 ? "Sender" : "Receiver";
  const error = `<Error><Type>${type}</Type><Code>${code}</Code><Message>${escapeXml(message)}</Message></Error>`;
  const inner = `${error}<RequestId>${requestId}</RequestId>`;
  const body = `<ErrorResponse xmlns="${namespace(model)}">${inner}</ErrorResponse>`;
  return { status, headers: { ...headers, "content-type": "text/xml" }, body };
}

/** The code and message of an error's bytes; null when they hold none. */
export function decodeError(body: string): { code: string; message: string } | null {
  if (body.startsWith("{")) {
    const { __type, message, Message } = JSON.parse(body);
    return typeof __type === "string"
      ? { code: __type.split("#").at(-1) ?? "", message: message ?? Message ?? "" }
      : null;
  }
  if (!/^<(?:\?xml|ErrorResponse|Response)/.test(body)) return null;
  const texts = new Map<string, string>();
  const walk = ({ name, children, text }: Element): void => {
    if (children.length === 0) texts.set(name, text);
    for (const child of children) walk(child);
  };
  walk(parseXml(body));
  const code = texts.get("Code");
  return code === undefined ? null : { code, message: texts.get("Message") ?? "" };
}
