/**
 * EC2 on top of moto, which has launch templates, images and instances. What is added, from AWS's documentation: a version is a copy of its
 * SourceVersion with what is given put over it, and one ClientToken is one version.
 */
import { type Admin, MotoRefused, REGION } from "./admin.ts";
import type { Structure } from "./codec.ts";
import { type Made, ServiceError } from "./made.ts";
import { ACCOUNT } from "./moto.ts";
import type { Behaviour } from "./proxy.ts";

export type Templates = Behaviour & {
  /** The image of each of these instances. */
  images(ids: readonly string[]): Promise<readonly string[]>;
};

export function templates(admin: Admin): Templates {
  const tokens = new Map<string, { readonly asked: string; readonly result: Structure }>();

  const create = async (made: Made): Promise<Structure> => {
    const { ClientToken: token, SourceVersion: source, ...params } = made.params;
    const asked = JSON.stringify(made.params);
    const before = typeof token === "string" ? tokens.get(token) : undefined;
    if (before !== undefined && before.asked !== asked)
      throw new ServiceError("IdempotentParameterMismatch", "The client token was used with other parameters.");
    if (before !== undefined) return before.result;
    const id = String(params["LaunchTemplateId"]);
    let data = (params["LaunchTemplateData"] ?? {}) as Structure;
    if (source !== undefined) {
      const which = { LaunchTemplateId: id, Versions: [String(source)] };
      const found = await admin.call("ec2", "DescribeLaunchTemplateVersions", which, made.region);
      const [version] = found["LaunchTemplateVersions"] as readonly Structure[];
      data = { ...(version?.["LaunchTemplateData"] as Structure), ...data };
    }
    const filled = { ...params, LaunchTemplateData: data };
    const result = await admin.call("ec2", "CreateLaunchTemplateVersion", filled, made.region);
    if (typeof token === "string") tokens.set(token, { asked, result });
    made.changed = true;
    return result;
  };

  return {
    async about(_, params, region) {
      const id = params["LaunchTemplateId"];
      const arn = `arn:aws:ec2:${region}:${ACCOUNT}:launch-template/${String(id)}`;
      return { resources: [typeof id === "string" ? arn : "*"], context: {} };
    },
    async answer(made) {
      if (made.operation === "CreateLaunchTemplateVersion") return create(made);
      try {
        return await admin.call("ec2", made.operation, made.params, made.region);
      } catch (error) {
        throw error instanceof MotoRefused ? new ServiceError(error.code, error.words) : error;
      }
    },
    async images(ids) {
      if (ids.length === 0) return [];
      const found = await admin.call("ec2", "DescribeInstances", { InstanceIds: ids }, REGION);
      const all = (found["Reservations"] ?? []) as readonly Structure[];
      return all.flatMap((one) => ((one["Instances"] ?? []) as readonly Structure[]).map((i) => String(i["ImageId"])));
    },
  };
}
