/** Whether moto's IAM lets the caller do what it asks, found out without doing it. */
import { type Admin, MotoRefused } from "./admin.ts";
import type { Structure } from "./codec.ts";
import type { Keys } from "./keys.ts";
import { type Made, ServiceError } from "./made.ts";
import { modelOf } from "./model.ts";
import { codeFor } from "./proxy.ts";

const NO_AUTHORITY =
  "arn:aws:acm-pca:eu-west-1:111122223333:certificate-authority/00000000-0000-0000-0000-000000000000";

/** The same action on what is not there: moto judges the action first, whatever the resource, and then finds nothing to do. */
function harmless({ operation, params }: Made): Structure {
  if (operation === "SetDesiredCapacity") return { AutoScalingGroupName: "not-there", DesiredCapacity: 0 };
  if (operation === "ChangeResourceRecordSets") return { ...params, HostedZoneId: "ZNOTTHERE" };
  if (operation === "IssueCertificate") return { ...params, CertificateAuthorityArn: NO_AUTHORITY };
  if (operation === "CreateLaunchTemplateVersion") return { ...params, LaunchTemplateId: "lt-00000000000000000" };
  // moto has neither: IAM judges before it says so.
  if (operation === "StartInstanceRefresh" || operation === "RollbackInstanceRefresh") return params;
  if (/^(?:Describe|Get|List|Simulate)/.test(operation)) return params;
  throw new Error(`nobody knows how to ask for ${operation} without doing it`);
}

const DENIED = ["AccessDenied", "AccessDeniedException", "UnauthorizedOperation"];
/** Our own signature, or credentials that the world gave out: no word about the caller's permission. */
const UNJUDGED = ["SignatureDoesNotMatch", "InvalidClientTokenId"];

/** Throws the service's own refusal when IAM says no. */
export async function judge(admin: Admin, keys: Keys, made: Made): Promise<void> {
  const key = keys.find(made.accessKey);
  if (key === null) throw new Error("credentials that the world did not give out");
  const refused = await admin
    .as(key.secret)
    .call(made.service, made.operation, harmless(made), made.region)
    .then(
      () => null,
      (error: unknown) => error,
    );
  // Anything but a denial was said after IAM had let it through: the group, the zone or the certificate is not there, or only the proxy has it.
  if (!(refused instanceof MotoRefused)) {
    if (refused !== null) throw refused;
    return;
  }
  if (UNJUDGED.includes(refused.code)) throw refused;
  if (DENIED.includes(refused.code)) throw denial(made, key.principal.arn);
}

export function denial(made: Made, principal: string): ServiceError {
  const action = `${made.service}:${made.operation}`;
  return new ServiceError(
    codeFor(modelOf(made.service), "denied"),
    `User: ${principal} is not authorized to perform: ${action} on resource: ${made.resources[0]} because no identity-based policy allows the ${action} action`,
  );
}
