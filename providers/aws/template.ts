import { CreateLaunchTemplateVersionCommand, DescribeLaunchTemplateVersionsCommand } from "@aws-sdk/client-ec2";
import { CallFailed } from "../provider.ts";
import type { AwsCalls } from "./call.ts";
import type { Template } from "./group.ts";
import { MAX_PAGES } from "./limits.ts";

/** One version of a launch template, which never changes once it is made. */
export type Version = {
  readonly template: string;
  readonly number: string;
  /** Null: it names none, or one that Systems Manager would look up. */
  readonly image: string | null;
  readonly description: string;
  /** Of one that a command made: the number of the version that it is a copy of; null: made by somebody else. */
  readonly of: string | null;
};

const IMAGE = /^ami-[0-9a-f]{8,17}$/;
export function isImage(text: string): boolean {
  return IMAGE.test(text);
}

/** What a version of the command's own says of itself: it is found again by it, whatever was lost. At most 255 characters. */
function describedBy(command: string, source: string): string {
  return `reeve ${command} from ${source}`;
}
const SOURCE = /^reeve [0-9a-f-]{36} from (\d{1,9})$/;

/** The version that a group launches from. Throws CallFailed, also when there is none. */
export async function versionAt(calls: AwsCalls, { id, version }: Template): Promise<Version> {
  const [found] = await versions(calls, id, { Versions: [version] });
  if (found?.number !== version) throw malformed("another version than was asked for");
  return found;
}

/** The version that this command made, of those that are newer than `after` or are it; null when there is none. Throws CallFailed. */
export async function ownVersion(calls: AwsCalls, command: string, { id, version }: Template): Promise<Version | null> {
  const found = await versions(calls, id, { MinVersion: version });
  return found.find(({ description, of }) => of !== null && description === describedBy(command, of)) ?? null;
}

/**
 * A copy of a version with another image. The command's id is its token, so that it is one version however often it is sent. Throws CallFailed
 * and Halted.
 */
export async function makeVersion(
  calls: AwsCalls,
  command: string,
  of: { readonly template: string; readonly source: string; readonly image: string },
): Promise<Version> {
  const input = {
    LaunchTemplateId: of.template,
    SourceVersion: of.source,
    LaunchTemplateData: { ImageId: of.image },
    VersionDescription: describedBy(command, of.source),
    ClientToken: command,
  };
  const answer = await calls.send("ec2", (client) => client.send(new CreateLaunchTemplateVersionCommand(input)));
  const made = versionOf(calls, of.template, answer.LaunchTemplateVersion ?? {}, "unknown");
  if (made.image !== of.image || made.of !== of.source)
    throw malformed("the version that was made is another", "unknown");
  return made;
}

async function versions(
  calls: AwsCalls,
  template: string,
  which: { readonly Versions: string[] } | { readonly MinVersion: string },
): Promise<readonly Version[]> {
  const all: Version[] = [];
  let token: string | undefined;
  for (let page = 0; page < MAX_PAGES; page++) {
    const input = { LaunchTemplateId: template, ...which, ...(token === undefined ? {} : { NextToken: token }) };
    const answer = await calls.send("ec2", (client) => client.send(new DescribeLaunchTemplateVersionsCommand(input)));
    all.push(...(answer.LaunchTemplateVersions ?? []).map((one) => versionOf(calls, template, one, "none")));
    token = answer.NextToken;
    if (token === undefined || token === "") return all;
  }
  throw new CallFailed("too-many-pages", `the template's versions were not on ${MAX_PAGES} pages`, "none");
}

type Said = {
  readonly LaunchTemplateId?: string | undefined;
  readonly VersionNumber?: number | undefined;
  readonly VersionDescription?: string | undefined;
  readonly LaunchTemplateData?: { readonly ImageId?: string | undefined } | undefined;
};

function versionOf(calls: AwsCalls, template: string, said: Said, effect: CallFailed["effect"]): Version {
  const { LaunchTemplateId: id, VersionNumber: number, VersionDescription: description = "" } = said;
  if (id !== template || !Number.isSafeInteger(number))
    throw malformed("what was described is another template", effect);
  const image = said.LaunchTemplateData?.ImageId ?? "";
  calls.known.add(`${template}:${number}`);
  const [, of = null] = SOURCE.exec(description) ?? [];
  return { template, number: String(number), image: isImage(image) ? image : null, description, of };
}

function malformed(words: string, effect: CallFailed["effect"] = "none"): CallFailed {
  return new CallFailed("malformed", words, effect);
}
