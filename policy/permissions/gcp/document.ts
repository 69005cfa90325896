import type { Rendered } from "./render.ts";

/** Each role as `gcloud iam roles create ID --file` takes it, and where each is bound. */
export type Document = {
  readonly roles: readonly {
    readonly name: string;
    readonly title: string;
    readonly stage: "GA";
    readonly includedPermissions: readonly string[];
  }[];
  readonly bindings: readonly {
    readonly resource: string;
    readonly role: string;
    readonly condition?: { readonly title: string; readonly expression: string };
    readonly rules: readonly string[];
  }[];
};

export function documentOf({ place, roles }: Rendered): Document {
  const nameOf = (id: string): string => `projects/${place.project}/roles/${id}`;
  return {
    roles: roles.map(({ id, title, permissions }) => ({
      name: nameOf(id),
      title,
      stage: "GA",
      includedPermissions: permissions,
    })),
    bindings: roles.flatMap(({ id, bindings }) =>
      bindings.map(({ resource, condition, rules }) => ({
        resource,
        role: nameOf(id),
        ...(condition === null ? {} : { condition }),
        rules,
      })),
    ),
  };
}

export function gcpText(rendered: Rendered): string {
  return `${JSON.stringify(documentOf(rendered), null, 2)}\n`;
}
