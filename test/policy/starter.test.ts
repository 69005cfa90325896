import { expect, test } from "bun:test";
import { loadPolicy } from "../../policy/parse.ts";
import { sentences, warnings } from "../../policy/sentences.ts";
import { PROVIDERS, starter } from "../../policy/starter.ts";

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
      .replace(/^#(?=rules:|tests:| {2})/gm, "");
    const policy = load(text);
    expect(policy.rules.map(({ allow }) => allow)).toEqual(["scale", "issue-certificate", "update-dns"]);
    expect(policy.tests.length).toBe(4);
    expect(warnings(policy)).toEqual([]);
  },
);
