import { CallFailed } from "../provider.ts";
import type { Metadata } from "./metadata.ts";
import { groupText } from "./names.ts";

/** Where the agent itself runs, by the metadata server. */
export type Own = {
  /** This machine, as a group lists it. Throws CallFailed: whoever does not know it must not scale any group. */
  instance(): Promise<OwnInstance>;
  /** The group that made this machine, as a policy writes it; null when none did. */
  group(): Promise<string | null>;
};
/** `path`: `zones/ZONE/instances/NAME`, the end of the instance's URL. */
export type OwnInstance = { readonly id: string; readonly path: string };

const CREATED_BY = /^projects\/\d{1,20}\/(zones|regions)\/([a-z0-9-]{1,63})\/instanceGroupManagers\/([a-z0-9-]{1,63})$/;

export function ownPlace(metadata: Metadata, region: string): Own {
  return {
    async instance() {
      const id = await metadata.read("instance/id");
      const name = await metadata.read("instance/name");
      const [, zone] =
        /^projects\/\d{1,20}\/zones\/([a-z0-9-]{1,63})$/.exec((await metadata.read("instance/zone")) ?? "") ?? [];
      if (!/^\d{1,20}$/.test(id ?? "") || !/^[a-z0-9-]{1,63}$/.test(name ?? "") || zone === undefined)
        throw new CallFailed("own-instance", "it does not say an instance", "none");
      return { id: id ?? "", path: `zones/${zone}/instances/${name}` };
    },
    async group() {
      const [, kind, where, name] =
        CREATED_BY.exec((await metadata.read("instance/attributes/created-by")) ?? "") ?? [];
      return kind === undefined || where === undefined || name === undefined
        ? null
        : groupText(region, kind, where, name);
    },
  };
}
