import { globSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { gunzipSync } from "node:zlib";
import { python } from "../../python.ts";
import { requireDebian } from "../../tools.ts";

/** AWS's own description of each service, as Debian's python3-botocore brings it: operations, shapes, errors. */
const DATA = "/usr/lib/python3/dist-packages/botocore/data";
const VERSIONS = {
  autoscaling: "2011-01-01",
  ec2: "2016-11-15",
  "acm-pca": "2017-08-22",
  route53: "2013-04-01",
  sts: "2011-06-15",
  iam: "2010-05-08",
} as const;

export type Service = keyof typeof VERSIONS;
/** What Debian's does not know yet (rolling a refresh back) is in the one that moto stands on. */
const NEWER: ReadonlySet<Service> = new Set(["autoscaling", "ec2"]);
export const REQUIREMENTS = join(import.meta.dirname, "requirements.txt");

export type Reference = {
  readonly shape: string;
  readonly location?: "uri" | "querystring" | "header";
  readonly locationName?: string;
  readonly queryName?: string;
  readonly resultWrapper?: string;
  readonly flattened?: boolean;
};
export type Shape = {
  readonly type: string;
  readonly members?: Readonly<Record<string, Reference>>;
  readonly member?: Reference;
  readonly required?: readonly string[];
  readonly flattened?: boolean;
  readonly error?: { readonly code?: string; readonly httpStatusCode?: number };
};
export type Operation = {
  readonly name: string;
  readonly http: { readonly method: string; readonly requestUri: string };
  readonly input?: Reference;
  readonly output?: Reference;
  readonly errors?: readonly Reference[];
};
export type Model = {
  readonly service: Service;
  readonly metadata: {
    readonly protocol: "json" | "query" | "ec2" | "rest-xml";
    readonly apiVersion: string;
    readonly targetPrefix?: string;
    readonly xmlNamespace?: string;
  };
  readonly operations: Readonly<Record<string, Operation>>;
  readonly shapes: Readonly<Record<string, Shape>>;
};

const read = new Map<Service, Model>();

export function modelOf(service: Service): Model {
  const known = read.get(service);
  if (known !== undefined) return known;
  const text = NEWER.has(service) ? newer(service) : debian(service);
  const model: Model = { ...JSON.parse(text), service };
  read.set(service, model);
  return model;
}

function debian(service: Service): string {
  requireDebian({ [`${DATA}/${service}`]: "python3-botocore" });
  return readFileSync(`${DATA}/${service}/${VERSIONS[service]}/service-2.json`, "utf8");
}

function newer(service: Service): string {
  const path = `lib/python3*/site-packages/botocore/data/${service}/${VERSIONS[service]}/service-2.json.gz`;
  const root = dirname(dirname(python(REQUIREMENTS)));
  const [found] = globSync(join(root, path));
  if (found === undefined) throw new Error(`no ${path} in ${root}`);
  return gunzipSync(readFileSync(found)).toString("utf8");
}

export function operationOf(model: Model, name: string): Operation {
  const operation = model.operations[name];
  if (operation === undefined) throw new RangeError(`${model.service} has no operation ${name}`);
  return operation;
}

export function shapeOf(model: Model, { shape }: Reference): Shape {
  const found = model.shapes[shape];
  if (found === undefined) throw new RangeError(`${model.service} has no shape ${shape}`);
  return found;
}

/**
 * What any operation may answer, by protocol: "Common Errors" of each service's API reference, and the JSON protocol's names for them.
 * The model does not list them.
 */
const COMMON = {
  xml: {
    AccessDenied: 403,
    ExpiredToken: 403,
    InternalFailure: 500,
    InvalidClientTokenId: 403,
    SignatureDoesNotMatch: 403,
    ServiceUnavailable: 503,
    Throttling: 400,
    ValidationError: 400,
  },
  /** "Error codes for the Amazon EC2 API": its model lists none at all. */
  ec2: {
    AuthFailure: 401,
    IdempotentParameterMismatch: 400,
    "InvalidAMIID.NotFound": 400,
    "InvalidInstanceID.NotFound": 400,
    "InvalidLaunchTemplateId.NotFound": 400,
    "InvalidLaunchTemplateId.VersionNotFound": 400,
    InternalError: 500,
    InvalidParameterValue: 400,
    RequestExpired: 400,
    RequestLimitExceeded: 503,
    Unavailable: 503,
    UnauthorizedOperation: 403,
  },
  json: {
    AccessDeniedException: 400,
    ExpiredTokenException: 400,
    InternalFailure: 500,
    InvalidSignatureException: 400,
    ServiceUnavailable: 503,
    ThrottlingException: 400,
    UnrecognizedClientException: 400,
    ValidationException: 400,
  },
} as const;

/** The code and HTTP status of each error that the operation may answer with. */
export function errorsOf(model: Model, operation: string): ReadonlyMap<string, number> {
  const { protocol } = model.metadata;
  const common = COMMON[protocol === "json" || protocol === "ec2" ? protocol : "xml"];
  const declared = (operationOf(model, operation).errors ?? []).map((reference): [string, number] => {
    const { error } = shapeOf(model, reference);
    return [error?.code ?? reference.shape, error?.httpStatusCode ?? 400];
  });
  return new Map<string, number>([...Object.entries(common), ...declared]);
}
