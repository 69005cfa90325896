import { checkTrust } from "../../../agent/wire/trust.ts";
import { isRefusal } from "../../../policy/refusal.ts";
import { type Case, must } from "../case.ts";

const SECTION = "Trust statements";

export const STATEMENT_CASES: readonly Case[] = [
  {
    id: "trust-chain",
    section: SECTION,
    expects: "the statements, from version 1 on, lead from the pinned key, and the newest names the shown root",
    core: true,
    async run(world) {
      const { cluster, id, answer } = await world.enrolled();
      const pin = await world.driver.pin();
      const trustDomain = id.slice("spiffe://".length).split("/")[0] ?? "";
      let before: Parameters<typeof checkTrust>[1]["before"] = null;
      for (const jws of answer.trust) {
        const claims = await checkTrust(jws, { cluster, trustDomain, before, pin });
        must(!isRefusal(claims), `statement ${(before?.version ?? 0) + 1}: ${isRefusal(claims) ? claims.because : ""}`);
        before = claims;
      }
      must(before !== null, "there is no statement");
      const root = Buffer.from((await world.root()).der).toString("base64");
      must(before.roots.includes(root), "the newest statement does not name the root that is shown");
      return `${answer.trust.length} statement, ${before.command_keys.length} command key`;
    },
  },
  {
    id: "trust-newer-in-poll",
    section: SECTION,
    expects: "a newer statement comes with the next poll, signed by a command key of the one before",
    core: false,
    async run(world) {
      const speaker = await world.begun();
      const version = await world.driver.rotate(speaker.cluster);
      const have = speaker.answer.trust.length;
      must(version === have + 1, `the driver signed version ${version} after ${have}`);
      const { trust } = await speaker.poll(await speaker.line(), speaker.newProcess(), { trust_version: have });
      must(trust.length === 1, `${trust.length} statements came`);
      const pin = await world.driver.pin();
      const trustDomain = speaker.id.slice("spiffe://".length).split("/")[0] ?? "";
      let before: Parameters<typeof checkTrust>[1]["before"] = null;
      for (const jws of [...speaker.answer.trust, ...trust]) {
        const claims = await checkTrust(jws, { cluster: speaker.cluster, trustDomain, before, pin });
        must(!isRefusal(claims), isRefusal(claims) ? claims.because : "");
        before = claims;
      }
      return `version ${before?.version}`;
    },
  },
];
