/** Calls that really came, judged by an IAM that we did not write: with the resources and conditions that `policy permissions` renders. */
import { allowed, type Call } from "../permissions/world.ts";
import type { Document } from "./stage.ts";
import type { Made } from "./world/made.ts";

type Judged = Parameters<typeof allowed>[0];

export function callOf({ service, operation, resources, context, region }: Made): Call {
  const [resource = "*"] = resources;
  return { action: `${service}:${operation}`, resource, context: { "aws:RequestedRegion": region, ...context } };
}

export function permits(document: Document, call: Call): Promise<boolean> {
  return allowed(document as unknown as Judged, call);
}

/** One step to the side: what the same role must not reach. Empty where AWS lets nothing be told apart. */
export function siblingsOf(call: Call): readonly { readonly what: string; readonly call: Call }[] {
  const beside = (what: string, resource: string, context = {}) => ({
    what,
    call: { ...call, resource, context: { ...call.context, ...context } },
  });
  const same = (what: string, context: Record<string, string | readonly string[]>) =>
    beside(what, call.resource, context);
  const [, operation = ""] = call.action.split(":");
  if (operation.startsWith("Describe") && call.resource === "*")
    return [same("another region", { "aws:RequestedRegion": "us-east-1" })];
  if (operation === "SetDesiredCapacity")
    return [
      beside("another group", `${call.resource}-2`),
      beside("a group whose name ends alike", call.resource.replace("Name/", "Name/x")),
      beside("another account", call.resource.replace("111122223333", "444455556666")),
    ];
  if (call.action.startsWith("acm-pca:")) {
    const other = beside("another authority", call.resource.replace(/[0-9a-f]{12}$/, "000000000000"));
    if (operation !== "IssueCertificate") return [other];
    const template = (name: string) => ({ "acm-pca:TemplateArn": `arn:aws:acm-pca:::template/${name}/V1` });
    return [
      other,
      same("another usage", template("EndEntityClientAuthCertificate")),
      same("a passthrough template", template("EndEntityServerAuthCertificate_CSRPassthrough")),
      same("an authority's template", template("SubordinateCACertificate_PathLen0")),
    ];
  }
  if (operation === "GetChange") return [];
  const zone = beside("another zone", "arn:aws:route53:::hostedzone/ZOTHEROTHEROTHER");
  if (operation !== "ChangeResourceRecordSets") return [zone];
  const key = (name: string) => `route53:ChangeResourceRecordSets${name}`;
  return [
    zone,
    same("another name", { [key("NormalizedRecordNames")]: ["www.example.com"] }),
    same("another type", { [key("RecordTypes")]: ["TXT"] }),
    same("an overwriting change", { [key("Actions")]: ["UPSERT"] }),
  ];
}
