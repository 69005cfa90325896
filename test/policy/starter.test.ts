import { expect, test } from "bun:test";
import { loadPolicy } from "../../policy/parse.ts";
import { sentences, warnings } from "../../policy/sentences.ts";
import { PROVIDERS, starter } from "../../policy/starter.ts";
import { SIGNERS } from "./deploy-world.ts";
import { KEYS } from "./review-world.ts";

function load(text: string) {
  const loaded = loadPolicy(new TextEncoder().encode(text));
  if ("errors" in loaded) throw new Error(JSON.stringify(loaded.errors));
  return loaded.policy;
}

test.each(PROVIDERS.map((provider) => [provider]))("the starter for %s is valid and permits nothing", (provider) => {
  const policy = load(starter(provider, "prod-eu-1", "vendor.example"));
  expect([policy.rules, policy.tests, policy.share, policy.dry_run]).toEqual([[], [], [], "refused"]);
  expect([policy.cluster, policy.vendor, policy.place.cloud]).toEqual(["prod-eu-1", "vendor.example", provider]);
  expect(sentences(policy)[0]).toContain("may do nothing");
});

test.each(PROVIDERS.map((provider) => [provider]))(
  "with their # taken away the examples of the starter for %s are valid, one for each action, and each is tested",
  (provider) => {
    const text = starter(provider, "prod-eu-1", "vendor.example")
      .replace("rules: []\ntests: []\n", "")
      .replace(/^people: \{\}/m, `people: { alice: ${KEYS[0]} }`)
      .replace(/^signers: \{\}/m, `signers: { release: ${SIGNERS[0]} }`)
      .replace(/^#(?=rules:|tests:| {2})/gm, "");
    const policy = load(text);
    expect(policy.rules.map(({ allow }) => allow)).toEqual(["scale", "issue-certificate", "update-dns", "deploy"]);
    expect(policy.tests.length).toBe(5);
    expect(warnings(policy)).toEqual([]);
  },
);
