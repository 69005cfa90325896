/**
 * Instance templates, images, and the updating of a managed instance group, as Compute Engine's documentation describes them: proactive updates
 * replace machines with others of new names, as many at a time as may be unavailable; a machine that is not healthy is not available; the
 * version target is reached when every machine is at the group's template.
 */
import { randomInt, randomUUID } from "node:crypto";
import type { Structure } from "./discovery.ts";
import { ServiceError } from "./made.ts";
import type { Group, Machine, ScalingSwitches } from "./scaling.ts";

type Disk = Structure & { readonly boot?: boolean; readonly initializeParams?: { readonly sourceImage?: string } };

export function rolling(project: string, root: string, switches: ScalingSwitches) {
  const images = new Map(
    ["broker-1", "broker-2", "broker-3"].map((name) => [`projects/${project}/global/images/${name}`, "READY"]),
  );
  const templates = new Map<string, Structure>();
  const link = (path: string): string => `${root}/compute/v1/${path}`;
  const first = `projects/${project}/global/instanceTemplates/brokers-template`;

  const insert = (path: string, body: Structure): void => {
    if (templates.has(path)) throw new ServiceError(409, "alreadyExists", `The resource '${path}' already exists`);
    const [, where = "", name = ""] = /^projects\/[^/]+\/(.+)\/instanceTemplates\/([^/]+)$/.exec(path) ?? [];
    templates.set(path, {
      kind: "compute#instanceTemplate",
      id: String(randomInt(2 ** 47)),
      creationTimestamp: new Date().toISOString(),
      ...body,
      name,
      selfLink: link(path),
      ...(where === "global" ? {} : { region: link(`projects/${project}/${where}`) }),
    });
  };
  insert(first, {
    description: "",
    properties: {
      machineType: "e2-standard-2",
      metadata: { fingerprint: "abc=", kind: "compute#metadata", items: [{ key: "startup-script", value: "run" }] },
      disks: [
        {
          ...{ type: "PERSISTENT", boot: true, mode: "READ_WRITE", autoDelete: true, deviceName: "boot", index: 0 },
          kind: "compute#attachedDisk",
          initializeParams: {
            sourceImage: link(`projects/${project}/global/images/broker-1`),
            ...{ diskSizeGb: "20", diskType: "pd-balanced" },
          },
        },
        { type: "PERSISTENT", autoDelete: true, index: 1, initializeParams: { diskSizeGb: "100" } },
      ],
      networkInterfaces: [
        { subnetwork: link(`projects/${project}/regions/europe-west1/subnetworks/brokers`), name: "nic0" },
      ],
      serviceAccounts: [{ email: `brokers@${project}.iam.gserviceaccount.com`, scopes: ["cloud-platform"] }],
      labels: { team: "brokers" },
    },
  });

  const imageOf = (path: string): string => {
    const { disks = [] } = (templates.get(path)?.["properties"] ?? {}) as { disks?: readonly Disk[] };
    const source = disks.find(({ boot }) => boot === true)?.initializeParams?.sourceImage ?? "";
    return source.replace(/^.*\/compute\/v1\//, "");
  };
  const isUnwell = ({ template }: Machine): boolean => switches.unwell.has(imageOf(template));
  const serves = (machine: Machine): boolean =>
    machine.goes === null && machine.comes <= Date.now() && !isUnwell(machine);
  const staying = ({ machines }: Group): readonly Machine[] => machines.filter(({ goes }) => goes === null);
  const isReached = (group: Group): boolean => staying(group).every(({ template }) => template === group.template);

  /** As far as an update gets now; called each time that somebody looks. */
  const advance = (group: Group): void => {
    const serving = staying(group).filter(serves).length;
    group.fewest = Math.min(group.fewest, serving);
    if (group.policy["type"] !== "PROACTIVE") return;
    const { fixed = 1 } = (group.policy["maxUnavailable"] ?? {}) as { fixed?: number };
    let may = Math.max(0, fixed - (group.target - serving));
    const time = Date.now();
    for (const machine of staying(group)) {
      if (machine.template === group.template) continue;
      // One that serves nobody costs nothing.
      if (serves(machine) && may-- <= 0) continue;
      machine.goes = time + switches.deleteMilliseconds;
      group.machines.push({
        id: String(randomInt(2 ** 47)),
        name: `${group.name}-${randomUUID().slice(0, 4)}`,
        comes: time + switches.launchMilliseconds,
        goes: null,
        template: group.template,
      });
    }
    group.fewest = Math.min(group.fewest, staying(group).filter(serves).length);
  };

  return {
    first,
    insert,
    imageOf,
    isUnwell,
    isReached,
    advance,
    images,
    isSettled: (group: Group): boolean =>
      staying(group).every(serves) && (group.policy["type"] !== "PROACTIVE" || isReached(group)),
    template(path: string): Structure {
      const found = templates.get(path);
      if (found === undefined) throw new ServiceError(404, "notFound", `The resource '${path}' was not found`);
      return found;
    },
    image(path: string): Structure {
      const status = images.get(path);
      if (status === undefined) throw new ServiceError(404, "notFound", `The resource '${path}' was not found`);
      const name = path.slice(path.lastIndexOf("/") + 1);
      return { kind: "compute#image", id: "1", name, selfLink: link(path), status };
    },
    /** `zones`: how many the group is in. */
    patch(group: Group, body: Structure, zones: number): void {
      const { versions, updatePolicy } = body as { versions?: readonly Structure[]; updatePolicy?: Structure };
      const policy = { ...group.policy, ...updatePolicy };
      for (const name of ["maxUnavailable", "maxSurge"]) {
        const { fixed } = (policy[name] ?? {}) as { fixed?: number };
        if (fixed !== undefined && fixed !== 0 && fixed < zones)
          throw new ServiceError(400, "invalid", `Invalid value for field '${name}': either 0 or at least ${zones}`);
      }
      const url = versions?.[0]?.["instanceTemplate"];
      const path = typeof url === "string" ? url.replace(/^.*\/compute\/v1\//, "") : group.template;
      if (!templates.has(path)) throw new ServiceError(404, "notFound", `The resource '${path}' was not found`);
      group.policy = policy;
      group.template = path;
    },
  };
}
